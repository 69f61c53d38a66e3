"""What a usage costs by a row: exact integers, summed in femtodollars, rounded once, upwards.

Input is split into parts that overlap nowhere and add up to it: text, audio and image, each fresh, cached or
written to a cache. Whole measures (time, characters, images) describe the same consumption as tokens do: the
row charges one or the other, tokens where it prices both. What the row has no price for is charged at the fallback's and
named in `missing`: it is never dropped.
"""

from collections.abc import Iterator
from typing import NamedTuple

from metering.money import ceil_nanousd
from metering.pricing.rates import Rates
from metering.pricing.row import DEFAULT_TIER, PriceRow
from metering.usage import Usage


class CostLine(NamedTuple):
    """One position: quantity × rate = amount, in femtodollars. Quantities are tokens where `what` says no
    more.
    """

    what: str
    quantity: int
    rate_fusd: int
    amount_fusd: int

    @property
    def unit(self) -> tuple[int, str]:
        """What its price is listed by: so many, in words."""
        return _UNITS.get(self.what, (10**6, "per million"))


class Cost(NamedTuple):
    """A cost and how it came about."""

    nanousd: int
    lines: tuple[CostLine, ...]
    missing: tuple[str, ...] = ()
    """What the row has no price for, charged at the fallback row's."""
    notes: tuple[str, ...] = ()
    """Assumptions, in whole sentences."""


def cost(
    row: PriceRow,
    usage: Usage,
    tier: str | None = None,
    *,
    fallback: PriceRow,
    preview_search: bool = True,
    is_regional: bool = False,
) -> Cost:
    """The cost of one call. `tier` is the one that served it; `preview_search` says that web searches may
    have been made with the older tool, which some models bill at more; `is_regional`, that one region computed it.
    """
    rates = row.rates(tier, usage.input_tokens)
    spare = fallback.rates(tier, usage.input_tokens)
    lines: list[CostLine] = []
    missing: list[str] = []
    for what, quantity, price, otherwise in _positions(row, rates, spare, usage, preview_search):
        if not quantity:
            continue
        if price is None:
            missing.append(what)
        rate = otherwise or 0 if price is None else price
        lines.append(CostLine(what, quantity, rate, quantity * rate))
    if is_regional and row.fees.regional_percent:
        tokens = sum(line.amount_fusd for line in lines if line.what not in _UNITS)
        more = -(-tokens * row.fees.regional_percent // 100)
        lines.append(CostLine(_SURCHARGE, 1, more, more))
    total_fusd = sum(line.amount_fusd for line in lines)
    notes = tuple(_notes(row, tier, usage))
    return Cost(ceil_nanousd(total_fusd), tuple(lines), tuple(missing), notes)


_SURCHARGE = "surcharge for one region"
_SINGLE = ("images", "call", "web searches", "file searches", "code sessions", _SURCHARGE)
_UNITS = {
    "milliseconds": (60_000, "per minute"),
    "characters": (10**6, "per million characters"),
    **dict.fromkeys(_SINGLE, (1, "each")),
}
"""Of what is no token."""
_Position = tuple[str, int, int | None, int | None]
"""What, how many, at which rate, and at which rate of the fallback where there is none."""


def _positions(
    row: PriceRow, rates: Rates, spare: Rates, usage: Usage, preview_search: bool
) -> Iterator[_Position]:
    measures = list(_measures(rates, spare, usage))
    if rates.bills_tokens or not any(quantity and price is not None for _, quantity, price, _ in measures):
        yield from _input(rates, spare, usage)
        yield from _output(rates, spare, usage)
    yield from measures
    consumed = usage.total_tokens or usage.duration_ms or usage.characters or usage.images
    if rates.call is not None and consumed:
        yield "call", 1, rates.call, None
    if not (usage.web_searches or usage.file_searches or usage.code_sessions):
        return
    fees = row.fees
    search = fees.web_search_preview if preview_search else fees.web_search
    yield "web searches", usage.web_searches, max(search, fees.web_search), None
    yield "file searches", usage.file_searches, fees.file_search, None
    yield "code sessions", usage.code_sessions, fees.code_session, None


def _input(rates: Rates, spare: Rates, usage: Usage) -> Iterator[_Position]:
    total = usage.input_tokens
    audio = min(usage.input_audio_tokens, total)
    image = min(usage.input_image_tokens, total - audio)
    text = total - audio - image
    if not (audio or image or usage.cached_tokens or usage.cache_write_tokens):
        yield "input", text, rates.input, spare.input
        return
    cached = min(usage.cached_tokens, total)
    cached_audio = min(usage.cached_audio_tokens, audio, cached)
    cached_image = min(usage.cached_image_tokens, image, cached - cached_audio)
    # Cached tokens that the answer does not split are text as far as there is text, then images, then audio:
    # in that order the discount rises, and what is uncertain is billed with the smaller one.
    rest = cached - cached_audio - cached_image
    cached_text = min(rest, text)
    more_image = min(rest - cached_text, image - cached_image)
    cached_image += more_image
    cached_audio += rest - cached_text - more_image
    text, image, audio = text - cached_text, image - cached_image, audio - cached_audio
    writes = min(usage.cache_write_tokens, text + image + audio)
    long_writes = min(usage.cache_write_long_tokens, writes)
    # A write is text as far as there is fresh text. Nobody prices writes of images or audio apart, so beyond
    # the text they cost what the part itself costs where that is more.
    image_writes = min(max(writes - text, 0), image)
    audio_writes = max(writes - text - image, 0)
    text_writes = writes - image_writes - audio_writes
    text, image, audio = text - text_writes, image - image_writes, audio - audio_writes
    long_text = min(long_writes, text_writes)
    yield "input", text, rates.input, spare.input
    yield "cached input", cached_text, rates.cached_input, spare.input
    yield "cache write", text_writes - long_text, rates.cache_write, spare.cache_write
    yield "cache write, long", long_text, rates.cache_write_long, spare.cache_write_long
    long_image = min(long_writes - long_text, image_writes)
    long_audio = long_writes - long_text - long_image
    for what, short, long, fresh, otherwise in (
        ("image", image_writes - long_image, long_image, rates.input_image, spare.input_image),
        ("audio", audio_writes - long_audio, long_audio, rates.input_audio, spare.input_audio),
    ):
        if short or long:
            yield f"{what} cache write", short, _dearer(rates.cache_write, fresh), otherwise
            yield f"{what} cache write, long", long, _dearer(rates.cache_write_long, fresh), otherwise
    yield "image input", image, rates.input_image, spare.input_image
    yield "cached image input", cached_image, rates.cached_image, spare.input_image
    yield "audio input", audio, rates.input_audio, spare.input_audio
    yield "cached audio input", cached_audio, rates.cached_audio, spare.input_audio


def _output(rates: Rates, spare: Rates, usage: Usage) -> Iterator[_Position]:
    audio = min(usage.output_audio_tokens, usage.output_tokens)
    image = min(usage.output_image_tokens, usage.output_tokens - audio)
    yield "output", usage.output_tokens - audio - image, rates.output, spare.output
    yield "image output", image, rates.output_image, spare.output_image
    yield "audio output", audio, rates.output_audio, spare.output_audio


def _measures(rates: Rates, spare: Rates, usage: Usage) -> Iterator[_Position]:
    """Time, text or images, where tokens do not already stand for them.

    An answer may state several measures of the one thing: what the row prices is charged, and only when it
    prices none of them is the price missing.
    """
    if usage.total_tokens and rates.bills_tokens:
        return
    image = None if rates.images is None else rates.images.rate(usage.image_size, usage.image_quality)
    spare_image = None if spare.images is None else spare.images.rate(usage.image_size, usage.image_quality)
    measures: list[_Position] = [
        ("milliseconds", usage.duration_ms, rates.millisecond, spare.millisecond),
        ("characters", usage.characters, rates.character, spare.character),
        ("images", usage.images, image, spare_image),
    ]
    priced = [measure for measure in measures if measure[1] and measure[2] is not None]
    yield from priced or measures


def _dearer(one: int | None, other: int | None) -> int | None:
    return max((rate for rate in (one, other) if rate is not None), default=None)


def _notes(row: PriceRow, tier: str | None, usage: Usage) -> Iterator[str]:
    known = row.tier(tier)
    if known is None:
        yield f"The price book knows no service tier {tier!r}: billed as the default."
    elif known in row.assumed:
        yield f"{row.name} has no price for the service tier {known}: {_assumption(known)}."
    if row.long_over is not None and usage.input_tokens > row.long_over:
        yield f"More than {row.long_over:,} input tokens: the whole request is billed at the long prices."


def _assumption(tier: str) -> str:
    if tier in ("flex", "batch"):
        return f"billed as the {DEFAULT_TIER}"
    return "billed at the most that such a tier costs anywhere"
