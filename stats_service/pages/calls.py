"""Calls as the pages show them: the newest of a limiter, and how the cost of one came about, line by line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from metering.money import FUSD_PER_NANOUSD
from metering.pricing import Cost, CostLine, PriceBook, PriceRow, cost
from metering.report_calls import CallRow
from metering.usage import Usage
from stats_service.pages.formats import exact, exact_price

_REASONS = {
    "estimated": "The answer did not say what it used, so its tokens were counted here.",
    "fallback": "The model, or a part of the answer, had no price: charged at the price book's fallback.",
    "unmetered": "This endpoint cannot be metered; its limiter lets it pass at no cost.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(CallRow):
    """One request of a limiter."""

    limiter_id: str
    cost_nanousd: int
    """Nothing while it is in flight."""

    @property
    def is_held(self) -> bool:
        return self.state == "held"

    @property
    def latency_us(self) -> int | None:
        return None if self.finished_at_us is None else self.finished_at_us - self.started_at_us

    @property
    def badge(self) -> str:
        """The colour of its result."""
        if self.state == "held":
            return "flying"
        if self.state == "released":
            return "failed" if self.status is None or self.status >= 400 else "plain"
        if self.state == "expired" or self.over_budget or self.bound_exceeded or self.basis in _REASONS:
            return "warn"
        return "done" if self.status is None or self.status < 400 else "failed"

    @property
    def badge_text(self) -> str:
        """Its state, or what is remarkable about how it was charged."""
        if self.state == "held":
            return "in flight"
        if self.state == "released":
            return f"not charged, {self.status}" if self.status else "not charged"
        if self.state == "expired":
            return "expired"
        if self.over_budget:
            return "over budget"
        if self.bound_exceeded:
            return "over its bound"
        if self.basis in _REASONS:
            return str(self.basis)
        return str(self.status or "settled")


@dataclass(frozen=True, slots=True)
class Line:
    """A position of a cost, in words."""

    what: str
    quantity: int
    price: str
    amount: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a cost came about, as far as today's price book still tells."""

    lines: Sequence[Line] = ()
    rounded: bool = False
    notes: Sequence[str] = ()


def explain(
    call: Call, usage: Usage, price_row: str, provider_nanousd: int | None, book: PriceBook
) -> Explanation:
    """The lines of a call's cost, shown only where they add up to what was charged."""
    notes = list(_notes(call, price_row, provider_nanousd))
    if call.state == "held":
        return Explanation(notes=[*notes, "It is charged when it ends; until then this is held."])
    if call.state == "released":
        return Explanation(notes=[*notes, "Nothing was consumed, so the hold was given back."])
    if call.state == "expired":
        return Explanation(notes=[*notes, "The process that served it died, so it was charged at its hold."])
    row = _row(book, price_row, call.started_at_us)
    part = None if row is None else _matching(book, row, usage, call)
    if row is None or part is None:
        why = f"Charged by the price row {price_row}." if price_row else "It has no price row."
        return Explanation(notes=[*notes, why])
    notes.append(f"Price row {row.key}: {row.source}, checked {row.checked.isoformat()}.")
    notes.extend(part.notes)
    total = sum(line.amount_fusd for line in part.lines)
    return Explanation([_line(line) for line in part.lines], total != part.nanousd * FUSD_PER_NANOUSD, notes)


def _matching(book: PriceBook, row: PriceRow, usage: Usage, call: Call) -> Cost | None:
    """The cost as it was charged. Tier, search tool and region are not stored, but the sum tells them."""
    fallback = book.fallback(call.started_at_us)
    for is_regional, tier, preview in product((False, True), (None, *row.tiers), (True, False)):
        part = cost(row, usage, tier, fallback=fallback, preview_search=preview, is_regional=is_regional)
        if part.nanousd == call.cost_nanousd:
            return part
    return None


def _row(book: PriceBook, key: str, at_us: int) -> PriceRow | None:
    fallback = book.fallback(at_us)
    return next((row for row in (*book.rows(), fallback) if row.key == key), None)


def _notes(call: Call, price_row: str, provider_nanousd: int | None) -> Iterator[str]:
    if call.basis in _REASONS:
        yield _REASONS[call.basis]
    if call.over_budget:
        yield "The budget was used up: soft enforcement would have refused it."
    if call.bound_exceeded:
        yield "It cost more than the bound that strict enforcement had computed for it."
    if provider_nanousd is not None and provider_nanousd != call.cost_nanousd:
        yield f"The provider says that it billed {exact(provider_nanousd)}."


def _line(line: CostLine) -> Line:
    size, unit = line.unit
    price = f"{exact_price(line.rate_fusd * size)} {unit}"
    return Line(line.what, line.quantity, price, exact_price(line.amount_fusd))
