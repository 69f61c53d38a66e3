"""The prices page: the price book as it is loaded, and the models in the traffic that it has no price for."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from metering.clock import DAY_US, at
from metering.errors import PriceBookError
from metering.pricing import PriceBook, PriceRow
from metering.pricing.rates import Rates
from stats_service.pages.formats import compact, exact_price
from stats_service.pages.query import Pages, Query
from stats_service.pages.site import Site

SIZE = 100
RECENT_US = 30 * DAY_US
_DEFAULTS = {"q": "", "page": "1"}
_OTHER = (
    ("cache_write", "cache write"),
    ("cache_write_long", "long cache write"),
    ("input_audio", "audio input"),
    ("output_audio", "audio output"),
    ("input_image", "image input"),
    ("output_image", "image output"),
)


@dataclass(frozen=True, slots=True)
class Priced:
    """A row of the book in the words of the page."""

    name: str
    since: str
    input: str
    cached: str
    output: str
    others: Sequence[str]
    source: str
    source_href: str
    checked: str
    in_force: bool
    state: str


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A model in the traffic that the book has no price for. Its calls were refused where they have no cost."""

    name: str
    limiter_id: str
    limiter_name: str
    requests: int
    cost_nanousd: int | None
    last_us: int


@dataclass(frozen=True, slots=True)
class PricesPage:
    """What the template shows."""

    book_name: str
    loaded_at_us: int
    error: str
    q: str
    pages: Pages
    rows: Sequence[Priced]
    unpriced: Sequence[Unpriced]
    refused: int


def page(site: Site, request: Request) -> Response:
    """The rows that the search finds, by model and date."""
    query = Query.read("/prices", request.query_params, _DEFAULTS)
    now_us = site.now_us()
    book, fault = site.services.prices.current(), site.services.prices.fault
    wanted = query.q.casefold()
    found = [row for row in book.rows() if wanted in row.name.casefold()]
    pages = Pages.of(query, len(found), SIZE)
    today = at(now_us).date()
    with site.reader() as connection:
        unpriced = list(_unpriced(connection, book, now_us))
        refused = connection.execute(_REFUSED, (now_us - RECENT_US,)).fetchone()[0]
    shown = PricesPage(
        book_name=book.path.name,
        loaded_at_us=book.loaded_at_us or now_us,
        error=_error(fault),
        q=query.q,
        pages=pages,
        rows=[_priced(row, book.find(row.name, now_us), today) for row in found[pages.part]],
        unpriced=unpriced,
        refused=refused,
    )
    return site.page(request, "prices.html", section="Prices", page=shown, now_us=now_us)


def _error(fault: PriceBookError | None) -> str:
    if fault is None:
        return ""
    place = "" if fault.line is None else f"line {fault.line}: "
    return f"The price book was changed and cannot be used: {place}{fault.reason} The prices below stay in force."


def _priced(row: PriceRow, current: PriceRow | None, today: date) -> Priced:
    rates = row.rates(None, 0)
    in_force = current is row
    coming = row.since is not None and row.since > today
    return Priced(
        name=row.name,
        since=row.since.isoformat() if row.since else "",
        input=_million(rates.input),
        cached=_million(rates.cached_input) if rates.cached_input != rates.input else "",
        output=_million(rates.output),
        others=list(_others(row, rates)),
        source=row.source,
        source_href=row.source if row.source.startswith("https://") and " " not in row.source else "",
        checked=row.checked.isoformat(),
        in_force=in_force,
        state="to come" if coming else "replaced",
    )


def _others(row: PriceRow, rates: Rates) -> Iterator[str]:
    for name, text in _OTHER:
        own = getattr(rates, name)
        like = rates.output if name.startswith("output") else rates.input
        if own is not None and own != like and (name != "cache_write_long" or own != rates.cache_write):
            yield f"{text} {_million(own)}"
    if rates.millisecond is not None:
        yield f"{exact_price(rates.millisecond * 60_000)} per minute"
    if rates.character is not None:
        yield f"{_million(rates.character)} per million characters"
    if rates.call is not None:
        yield f"{exact_price(rates.call)} per call"
    if rates.images is not None:
        every = [rate for qualities in rates.images.by_size.values() for rate in qualities.values()]
        low, high = min(every), max(every)
        yield (
            f"{exact_price(low)} to {exact_price(high)} per image"
            if low != high
            else f"{exact_price(low)} per image"
        )
    if row.long_over is not None:
        long = row.rates(None, row.long_over + 1)
        yield f"over {compact(row.long_over)} tokens: {_million(long.input)} in, {_million(long.output)} out"
    tiers = [name for name in row.tier_names if name not in {"default", "standard"}]
    if tiers:
        yield f"tiers: {', '.join(tiers)}"


def _unpriced(connection: sqlite3.Connection, book: PriceBook, now_us: int) -> Iterator[Unpriced]:
    """What still has no price: neither a row of the book by now, nor a model that its limiter maps it to."""
    for sql in (_REFUSED_MODELS, _CHARGED_MODELS):
        for *row, model_map in connection.execute(sql, (now_us - RECENT_US,)):
            found = Unpriced(*row)
            if book.find(json.loads(model_map).get(found.name, found.name), now_us) is None:
                yield found


def _million(rate_fusd: int | None) -> str:
    return "" if rate_fusd is None else exact_price(rate_fusd * 10**6)


_REFUSED_MODELS = """
    select model, limiters.id, limiters.name, count, null, last_us, model_map
    from unpriced_models join limiters on limiters.key = unpriced_models.limiter
    where limiters.deleted_at_us is null and unpriced = 'reject' and last_us >= ? order by last_us desc, model limit 50"""
_CHARGED_MODELS = """
    select hours.model, limiters.id, limiters.name, sum(hours.fallback) as calls, sum(hours.cost_nanousd), max(hours.hour_us), model_map
    from limiters cross join model_hours as hours on hours.limiter = limiters.key
    where limiters.unpriced = 'fallback' and limiters.deleted_at_us is null
        and hours.hour_us >= ? and hours.fallback > 0
    group by hours.limiter, hours.model order by calls desc limit 50"""
_REFUSED = """
    select coalesce(sum(count), 0) from refusals where code = 'model_not_priced' and hour_us >= ?"""
