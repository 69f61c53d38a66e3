"""Tables and raw requests to take away. Requests are read in pages of 5,000 rows, a short transaction each, so that a
million of them neither hold the database nor fill the memory; they come limiter by limiter, oldest first.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from metering.clock import rfc3339
from metering.database import storing
from stats_service.pages import formats
from stats_service.pages.faults import NoSuchPage
from stats_service.pages.files import TYPES, Cell, CsvFile, Dollars, JsonFile
from stats_service.pages.query import Query
from stats_service.pages.ranges import read_range
from stats_service.pages.report import Report, Row
from stats_service.pages.site import Site

PAGE_ROWS = 5_000
_END_OF_TIME_US = 2**62
Cells = Sequence[Cell | Dollars]
_TABLE_COLUMNS = {
    "limiters": ("limiter_id", "limiter_name", "limiter_deleted", "total_requests", "prompt_tokens", "completion_tokens", "total_tokens", "total_cost", "last_request_at"),
    "users": ("user", "limiter_id", "limiter_name", "limiter_deleted", "total_requests", "prompt_tokens", "completion_tokens", "total_tokens", "total_cost", "last_request_at"),
    "models": ("model", "total_requests", "prompt_tokens", "completion_tokens", "total_tokens", "total_cost"),
}  # fmt: skip
REQUEST_COLUMNS = (
    "id", "limiter_id", "limiter_name", "started_at", "finished_at", "user", "model", "endpoint", "status", "streamed", "state",
    "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "total_tokens", "cost", "basis",
)  # fmt: skip


def table(site: Site, request: Request) -> Response:
    """One of the tables of the statistics page, whole."""
    name, kind = request.path_params["name"], _kind(request)
    if name not in _TABLE_COLUMNS:
        raise NoSuchPage
    span, _ = read_range(_query(request), site.now_us())
    report = site.report(span.from_us, span.to_us, site.now_us())
    file = _file(kind, _TABLE_COLUMNS[name])
    text = file.start() + file.rows(_table_rows(name, report)) + file.end()
    filename = f"{name}-{formats.iso_date(span.from_us)}-to-{formats.iso_date(span.to_us - 1)}.{kind}"
    return Response(text, media_type=TYPES[kind], headers=_headers(filename))


def requests(site: Site, request: Request) -> Response:
    """The raw requests of a range, all limiters."""
    kind = _kind(request)
    span, _ = read_range(_query(request), site.now_us())
    with site.reader() as connection:
        keys = [key for (key,) in connection.execute("select key from limiters order by key")]
    filename = f"requests-{formats.iso_date(span.from_us)}-to-{formats.iso_date(span.to_us - 1)}.{kind}"
    return _streamed(site, keys, (span.from_us, span.to_us), kind, filename)


def calls(site: Site, request: Request) -> Response:
    """All requests of one limiter."""
    kind = _kind(request)
    limiter = site.services.limiters.get(request.path_params["id"])
    return _streamed(site, [limiter.key], (0, _END_OF_TIME_US), kind, f"calls-{limiter.id}.{kind}")


def _streamed(site: Site, keys: Sequence[int], span: tuple[int, int], kind: str, filename: str) -> Response:
    body = _stream(site, keys, span, _file(kind, REQUEST_COLUMNS))
    return StreamingResponse(body, media_type=TYPES[kind], headers=_headers(filename))


async def _stream(
    site: Site, keys: Sequence[int], span: tuple[int, int], file: CsvFile | JsonFile
) -> AsyncIterator[str]:
    yield file.start()
    for pages in (_pages(site, key, span) for key in keys):
        # A failure here breaks the connection off: a file that is not whole must not look so.
        while rows := await run_in_threadpool(next, pages, None):
            yield file.rows(rows)
    yield file.end()


def _pages(site: Site, key: int, span: tuple[int, int]) -> Iterator[list[Cells]]:
    """Pages of one limiter; between them no transaction is open."""
    place = (span[0], -1)
    while True:
        with storing("export requests"), closing(site.services.database.open_reader()) as connection:
            found = connection.execute(_PAGE, (key, *place, span[1], PAGE_ROWS)).fetchall()
        if not found:
            return
        yield [_request_row(row) for row in found]
        if len(found) < PAGE_ROWS:
            return
        place = (found[-1][3], found[-1][0])


def _request_row(row: tuple[Any, ...]) -> Cells:
    (identity, limiter, name, started, finished, user, model, endpoint, status, streamed, state) = row[:11]
    prompt, cached, completion, reasoning, cost, basis = row[11:]
    return (
        identity, limiter, name, rfc3339(started), None if finished is None else rfc3339(finished), user, model, endpoint,
        status, bool(streamed), state, prompt, cached, completion, reasoning, prompt + completion,
        None if cost is None else Dollars(cost), basis,
    )  # fmt: skip


def _table_rows(name: str, report: Report) -> Iterator[Cells]:
    rows: Iterable[Row] = report.limiters if name == "limiters" else report.models
    if name == "users":
        rows = (report.user_row(key, 0) for key in report.users_by_cost)
    for row in rows:
        names: Cells = (row.name,)
        if name == "users":
            names = (row.name, row.limiter_id, row.limiter_name, bool(row.limiter_mark))
        elif name == "limiters":
            names = (row.limiter_id, row.name, bool(row.mark))
        sums = (
            row.requests,
            row.prompt_tokens,
            row.completion_tokens,
            row.prompt_tokens + row.completion_tokens,
        )
        last = () if name == "models" else (None if row.last_us is None else rfc3339(row.last_us),)
        yield (*names, *sums, Dollars(row.cost_nanousd), *last)


def _query(request: Request) -> Query:
    return Query.read("", request.query_params, {"range": "30d", "from": "", "to": ""})


def _kind(request: Request) -> str:
    kind: str = request.path_params["kind"]
    if kind not in TYPES:
        raise NoSuchPage
    return kind


def _file(kind: str, columns: Sequence[str]) -> CsvFile | JsonFile:
    return CsvFile(columns) if kind == "csv" else JsonFile(columns)


def _headers(filename: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"}


_PAGE = """
    select requests.id, limiters.id, limiters.name, admitted_at_us, finished_at_us, user, coalesce(model_served, model),
        endpoint, status, streamed, state, input_tokens, cached_tokens, output_tokens, reasoning_tokens,
        cost_nanousd, basis
    from requests join limiters on limiters.key = requests.limiter
    where limiter = ?1 and (admitted_at_us, requests.id) > (?2, ?3) and admitted_at_us < ?4
    order by admitted_at_us, requests.id limit ?5"""
