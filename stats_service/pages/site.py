"""What every page is made from: the services, the templates, and the figures of all limiters at one moment."""

import dataclasses
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from starlette.requests import Request
from starlette.responses import Response

from metering.clock import DAY_US
from metering.database import storing
from metering.errors import StoreError
from metering.limiters import Limiter
from metering.periods import Period, window_at
from stats_service.pages import readings, rendering, standing
from stats_service.pages.needs import Services
from stats_service.pages.remembered import Remembered
from stats_service.pages.report import Report
from stats_service.pages.spans import Days, Spans
from stats_service.pages.standing import Standing
from stats_service.pages.statistics_rows import RangeSums, joined, joined_costs, read_sums, read_user_costs

_REPORT_KEPT_S = 3.0


class Site:
    """One for each application. Used by any thread."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.templates = rendering.environment()
        self._sums = Spans[RangeSums](self._read_sums, joined)
        self._user_costs = Spans[dict[tuple[str, int], int]](self._read_user_costs, joined_costs)
        self._reports = Remembered[tuple[int, int, int], Report](self._report, _REPORT_KEPT_S)
        self._warm_for_us = -1

    def now_us(self) -> int:
        return self.services.clock()

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """A connection on which all selects see one commit. Raises StoreError."""
        with storing("read the figures"), closing(self.services.database.open_reader()) as connection:
            connection.execute("begin")
            yield connection

    def proxy_url(self, limiter: Limiter) -> str:
        """The address to hand out."""
        return f"{self.services.settings.public_proxy_url}/v1/{limiter.code}"

    def standings(
        self, connection: sqlite3.Connection, limiters: Sequence[Limiter], now_us: int
    ) -> list[Standing]:
        """Where limiters stand, in one query for all."""
        windows = {period: window_at(period, now_us) for period in Period}
        figures = readings.figures(connection, limiters, windows, now_us)
        return [
            standing.standing(one, figures[one.key], windows[one.period], now_us, self.proxy_url(one))
            for one in limiters
        ]

    def with_sparks(
        self, connection: sqlite3.Connection, shown: Sequence[Standing], now_us: int
    ) -> list[Standing]:
        """The same with the last 24 hours of each."""
        keys = [one.key for one in shown]
        sparks = standing.sparklines(readings.hourly_costs(connection, keys, now_us), keys, now_us)
        return [dataclasses.replace(one, spark=sparks[one.key]) for one in shown]

    def report(self, from_us: int, to_us: int, now_us: int) -> Report:
        """A range of whole days: those that are over, kept for a while, and today as of the last commit."""
        return self._reports.get((from_us, to_us, now_us - now_us % DAY_US))

    def _report(self, key: tuple[int, int, int]) -> Report:
        *days, today_us = key
        span = (days[0], days[1])
        with self.reader() as connection:
            names = {
                limiter: (identity, name, deleted is not None)
                for limiter, identity, name, deleted in connection.execute(_NAMES)
            }
        sums = self._sums.get(span, today_us)
        report = Report(sums, names, span, lambda: self._user_costs.get(span, today_us))
        report.prepare()
        return report

    def warm_up(self, now_us: int) -> None:
        """Add up what the statistics page shows first, once a day and beside the work: its reader shall not wait."""
        today_us = now_us - now_us % DAY_US
        if self._warm_for_us == today_us:
            return
        self._warm_for_us = today_us
        tomorrow_us = today_us + DAY_US
        ranges = [
            (tomorrow_us - back * days * DAY_US, tomorrow_us - (back - 1) * days * DAY_US)
            for days in (30, 7, 1, 90, 365)
            for back in (1, 2)
        ]
        threading.Thread(target=self._warm, args=(ranges, now_us), daemon=True).start()

    def _warm(self, ranges: Sequence[tuple[int, int]], now_us: int) -> None:
        # Whatever is wrong with the database, the reader will be told when he asks.
        with suppress(StoreError):
            for from_us, to_us in ranges:
                self.report(from_us, to_us, now_us)

    def _read_sums(self, days: Days) -> RangeSums:
        with self.reader() as connection:
            return read_sums(connection, *days)

    def _read_user_costs(self, days: Days) -> dict[tuple[str, int], int]:
        with self.reader() as connection:
            return read_user_costs(connection, *days)

    def page(self, request: Request, template: str, *, status: int = 200, **context: object) -> Response:
        """A page for who is signed in."""
        session = request.state.session
        defaults = {"username": session.username, "csrf": session.csrf, "now_us": self.now_us()}
        return rendering.html(self.templates, request, template, status, **(defaults | context))


_NAMES = "select key, id, name, deleted_at_us from limiters"
