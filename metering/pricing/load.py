"""`pricing.yaml` → models with their rows, or one sentence that says which line is wrong and why.

Everything is checked here, at the border: keys, names, dates, sources, magnitudes. What comes out is trusted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import cast

from metering.pricing.document import Entry, read_document
from metering.pricing.fees import Fees
from metering.pricing.model import Model
from metering.pricing.rates import TOKEN_RATES
from metering.pricing.row import DEFAULT_TIER, DISCOUNT_TIERS, FASTER_TIERS, Encoding, PriceRow, TierRates
from metering.pricing.tariff import TIMES_MAX, Tariff, check_not_above, check_not_below, read_tariff

MODEL_KEYS = ("aliases", "context", "max_output", "reasoning", "encoding", "fees", "prices")
SECTIONS = ("sources", "fees", "unlisted_tiers", "fallback", "models")
ROW_KEYS = ("since", "long", "tiers")
ROW_REQUIRED = ("source", "checked", "standard")
_REGIONAL, _REGIONAL_MAX = "regional_percent", 100
_FALLBACK_PRICES = ("input", "output", "millisecond", "character")


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a price book says."""

    models: tuple[Model, ...]
    fallback: Model


@dataclass(frozen=True, slots=True)
class _Shared:
    """What rows refer to by name."""

    sources: Mapping[str, str]
    fees: Mapping[str, Fees]
    unlisted: Mapping[str, Fraction]


def read_contents(path: Path) -> Contents:
    """Read a price book. Raises PriceBookError with the line and the reason of the first fault."""
    root = read_document(path)
    parts = root.fields((), required=SECTIONS)
    shared = _Shared(
        sources={name: entry.text() for name, entry in parts["sources"].items()},
        fees={name: _read_fees(name, entry) for name, entry in parts["fees"].items()},
        unlisted=_read_unlisted(parts["unlisted_tiers"]),
    )
    taken: dict[str, Entry] = {}
    models = tuple(_read_model(name, entry, shared, taken) for name, entry in parts["models"].items())
    return Contents(models, _read_fallback(parts["fallback"], shared))


def _read_fallback(entry: Entry, shared: _Shared) -> Model:
    """The row for what nobody has priced: it must have a price for everything that can be consumed."""
    model = _read_model("fallback", entry, shared, {})
    for row in model.rows:
        rates = row.tiers[DEFAULT_TIER].ordinary
        missing = [name for name in _FALLBACK_PRICES if getattr(rates, name) is None]
        if missing or rates.images is None or row.context_tokens is None or row.output_tokens_max is None:
            entry.refuse(
                "must state context, max_output, input, output, minute, million_characters and images, "
                "so that nothing goes without a price"
            )
    return model


def _read_fees(name: str, entry: Entry) -> Fees:
    """Searches are stated by the thousand, containers by the session."""
    units = {
        "web_search": 10**12,
        "web_search_preview": 10**12,
        "file_search": 10**12,
        "code_session": 10**15,
    }
    rates = {}
    for key, field in entry.fields((_REGIONAL,), required=units).items():
        if key == _REGIONAL:
            rates[key] = field.count()
            if rates[key] > _REGIONAL_MAX:
                field.refuse(f"is more than {_REGIONAL_MAX}, which cannot be a percentage to add")
            continue
        fusd = Fraction(field.number()) * units[key]
        if fusd.denominator != 1:
            field.refuse("is not a whole number of femtodollars per call; state a rounder price")
        if fusd > 10**15:
            field.refuse("is more than a dollar for one call, which cannot be")
        rates[key] = fusd.numerator
    return Fees(name=name, **rates)


def _read_unlisted(entry: Entry) -> Mapping[str, Fraction]:
    """How many times the default price a faster tier costs at most, where a row does not say."""
    return {
        name: _times(field, 1, TIMES_MAX) for name, field in entry.fields((), required=FASTER_TIERS).items()
    }


def _read_model(name: str, entry: Entry, shared: _Shared, taken: dict[str, Entry]) -> Model:
    fields = entry.fields(MODEL_KEYS, required=("fees", "prices"))
    aliases = [alias.text() for alias in fields["aliases"].entries()] if "aliases" in fields else []
    for spelled in (name, *aliases):
        if spelled != spelled.lower():
            entry.refuse(f"must be named in lower case, not {spelled}")
        if spelled in taken:
            entry.refuse(f"claims the name {spelled}, which line {taken[spelled].line} has")
        taken[spelled] = entry
    fee_class = fields["fees"].choice(*shared.fees)
    encoding = fields["encoding"].choice("o200k", "cl100k") if "encoding" in fields else "o200k"
    common = PriceRow(
        name=name,
        since=None,
        source="",
        checked=date.min,
        line=entry.line,
        tiers={},
        assumed=frozenset(),
        long_over=None,
        fees=shared.fees[fee_class],
        context_tokens=fields["context"].count() if "context" in fields else None,
        output_tokens_max=fields["max_output"].count() if "max_output" in fields else None,
        reasoning="reasoning" in fields and fields["reasoning"].flag(),
        encoding=cast("Encoding", encoding),
    )
    rows: list[PriceRow] = []
    for period in fields["prices"].entries():
        row = _read_row(period, common, shared)
        if rows and row.since is None:
            period.refuse("has no since, which only the first price of a model may lack")
        if rows and rows[-1].since is not None and row.since is not None and row.since <= rows[-1].since:
            period.refuse(f"starts on {row.since}, not after the price before it")
        rows.append(row)
    if not rows:
        fields["prices"].refuse("is empty")
    return Model(name, tuple(aliases), tuple(rows))


def _read_row(entry: Entry, common: PriceRow, shared: _Shared) -> PriceRow:
    fields = entry.fields(ROW_KEYS, required=ROW_REQUIRED)
    source = fields["source"].text()
    if source not in shared.sources:
        fields["source"].refuse(f"names {source!r}, which is not among the sources")
    standard = read_tariff(fields["standard"])
    long, long_over = None, None
    if "long" in fields:
        long, long_over = _read_long(fields["long"], standard)
    tiers = {DEFAULT_TIER: TierRates(standard.rates(), long.rates() if long else None)}
    if "tiers" in fields:
        tiers |= _read_tiers(fields["tiers"], standard, long)
    assumed = {name for name in (*DISCOUNT_TIERS, *FASTER_TIERS) if name not in tiers}
    for name in sorted(assumed):
        tiers[name] = _multiplied(entry, standard, long, shared.unlisted.get(name, Fraction(1)))
    return PriceRow(
        name=common.name,
        since=fields["since"].day() if "since" in fields else None,
        source=shared.sources[source],
        checked=fields["checked"].day(),
        line=entry.line,
        tiers=tiers,
        assumed=frozenset(assumed),
        long_over=long_over,
        fees=common.fees,
        context_tokens=common.context_tokens,
        output_tokens_max=common.output_tokens_max,
        reasoning=common.reasoning,
        encoding=common.encoding,
    )


def _read_long(entry: Entry, standard: Tariff) -> tuple[Tariff, int]:
    """`over` is the size that a request must exceed; the prices then hold for all of it."""
    over = entry.fields(TOKEN_RATES, required=("over",))["over"].count()
    stated = read_tariff(entry.without("over"))
    check_not_below(stated, standard)
    return stated.over(standard), over


def _read_tiers(entry: Entry, standard: Tariff, long: Tariff | None) -> dict[str, TierRates]:
    """A tier is a multiple of the default prices, or a set of prices of its own."""
    tiers = {}
    for name, field in entry.fields((*DISCOUNT_TIERS, *FASTER_TIERS)).items():
        discount = name in DISCOUNT_TIERS
        if not field.is_mapping:
            least, most = (Fraction(1, 10), 1) if discount else (1, TIMES_MAX)
            tiers[name] = _multiplied(field, standard, long, _times(field, least, most))
            continue
        stated = read_tariff(field, plausible=False)
        (check_not_above if discount else check_not_below)(stated, standard)
        rates = stated.over(standard).rates()
        tiers[name] = TierRates(rates, None if long is None else rates.ceiling(long.rates()))
    return tiers


def _multiplied(entry: Entry, standard: Tariff, long: Tariff | None, factor: Fraction) -> TierRates:
    return TierRates(
        standard.times(factor, entry).rates(), None if long is None else long.times(factor, entry).rates()
    )


def _times(field: Entry, least: Fraction | int, most: int) -> Fraction:
    factor = Fraction(field.number())
    if not least <= factor <= most:
        field.refuse(f"must be between {float(least):g} and {most} times the default price")
    return factor
