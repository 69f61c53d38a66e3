"""From what an answer says to what a call is charged: model, tier, row, cost, and how sure it is.

The answer's model comes before the request's, since an alias may be served by any of its snapshots; a name
that the limiter maps is a deployment's, so the map speaks for it. A provider's own figure is the charge only
where that provider itself is the upstream; anywhere else it is kept beside ours.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace

from metering.asks import Ask
from metering.entries import Basis
from metering.facts import fact
from metering.money import FUSD_PER_NANOUSD, ceil_nanousd
from metering.pricing import Cost, CostLine, PriceBook, PriceRow, cost
from metering.pricing.row import FASTER_TIERS
from metering.usage import Reading, Usage

log = logging.getLogger(__name__)

_BILLS_ITSELF = frozenset({"openrouter.ai", "api.x.ai"})
"""Hosts whose answers state what the call was billed at. Compared whole: a look-alike states nothing."""
_PREVIEW_SEARCH = "web_search_preview"


@fact
class Charge:
    """What a call is charged, and how that came about."""

    cost_nanousd: int
    basis: Basis
    """`reported`: by the usage of the answer. `estimated`: by ours. `fallback`: some of it had no price."""
    price_row: str
    """The row's key, or the host whose own figure was taken."""
    model_served: str
    usage: Usage
    provider_cost_nanousd: int | None
    lines: tuple[CostLine, ...]
    notes: tuple[str, ...] = ()


def charge(
    book: PriceBook,
    *,
    reading: Reading,
    ask: Ask,
    asked_model: str,
    model_map: Mapping[str, str],
    base_host: str,
    at_us: int,
    estimate: Usage | None = None,
) -> Charge:
    """The charge for a call. `asked_model` is the path's deployment, or else the body's model; `estimate`
    stands in for a usage that the answer does not have. Raises ValueError where nothing says what was
    consumed.

    What has no price is charged at the book's fallback row: no call is free by a gap in the list.
    """
    if reading.odd:
        log.warning("An answer's usage has fields that are no counts: %s.", ", ".join(reading.odd))
    billed = own_figure(reading, base_host)
    usage = reading.usage if reading.usage is not None else estimate
    if usage is None:
        if billed is None:
            raise ValueError("a charge needs a usage, an estimate, or the provider's own figure")
        usage = Usage()
    named = reading.model or asked_model
    served = model_map.get(named, named)
    row, notes = _priced(book, reading.model, (asked_model, ask.model or ""), model_map, at_us)
    if billed is not None:
        host, fusd = _host(base_host), billed * FUSD_PER_NANOUSD
        return Charge(
            cost_nanousd=billed,
            basis="reported",
            price_row=host,
            model_served=served,
            usage=usage,
            provider_cost_nanousd=billed,
            lines=(CostLine(f"as billed by {host}", 1, fusd, fusd),),
        )
    fallback = book.fallback(at_us)
    if reading.is_regional is not None:
        ask = replace(ask, is_regional=reading.is_regional)
    parts = [_cost(row, usage, _served_tier(row, reading, ask), ask, fallback)]
    for model, extra in reading.extras:
        part = _cost(book.find(model, at_us), extra, None, ask, fallback)
        lines = tuple(line._replace(what=f"{model}: {line.what}") for line in part.lines)
        parts.append(part._replace(lines=lines))
    basis: Basis = "estimated" if reading.usage is None else "reported"
    return Charge(
        # All parts are summed before the one rounding.
        cost_nanousd=ceil_nanousd(sum(line.amount_fusd for part in parts for line in part.lines)),
        basis="fallback" if any(part.missing for part in parts) else basis,
        price_row=(row or fallback).key,
        model_served=served,
        usage=usage,
        provider_cost_nanousd=reading.provider_cost_nanousd,
        lines=tuple(line for part in parts for line in part.lines),
        notes=(*notes, *(note for part in parts for note in part.notes)),
    )


def own_figure(reading: Reading, base_host: str) -> int | None:
    """What the upstream says that it billed, in nanodollars, where that is to be charged."""
    return reading.provider_cost_nanousd if _host(base_host) in _BILLS_ITSELF else None


def _host(base_host: str) -> str:
    return base_host.lower().rstrip(".")


def _priced(
    book: PriceBook, served: str | None, asked: tuple[str, ...], model_map: Mapping[str, str], at_us: int
) -> tuple[PriceRow | None, tuple[str, ...]]:
    """The row of the answer's model, else of what was asked for, each read through the limiter's map."""
    for name in filter(None, (served, *asked)):
        row = book.find(model_map.get(name, name), at_us)
        if row is not None:
            gap = served is not None and name != served
            return row, ((f"{served} has no price of its own: billed as {row.name}.",) if gap else ())
    return None, (f"{served or asked[0]} has no price: billed as the fallback row.",)


def _served_tier(row: PriceRow | None, reading: Reading, ask: Ask) -> str | None:
    """The tier that the answer names. Without one, the asked tier where it is a faster one: the ceiling."""
    named = reading.service_tier
    if named and named.lower() != "auto":
        return named
    asked = None if row is None else row.tier(ask.service_tier)
    return asked if asked in FASTER_TIERS else None


def _cost(row: PriceRow | None, usage: Usage, tier: str | None, ask: Ask, fallback: PriceRow) -> Cost:
    """The cost by a row. Without one, everything that was consumed counts as missing a price."""
    part = cost(
        row or fallback,
        usage,
        tier,
        fallback=fallback,
        preview_search=_may_be_preview(ask),
        is_regional=ask.is_regional,
    )
    return part if row is not None else part._replace(missing=tuple(line.what for line in part.lines))


def _may_be_preview(ask: Ask) -> bool:
    """Whether searches may have been made with the older tool: unless only the newer is asked for."""
    searches = [tool for tool in ask.hosted_tools if tool.startswith("web_search")]
    return not searches or any(tool.startswith(_PREVIEW_SEARCH) for tool in searches)
