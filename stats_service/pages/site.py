"""What every page is made from: the services, the templates, and the figures of all limiters at one moment."""

import dataclasses
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager

from starlette.requests import Request
from starlette.responses import Response

from metering.clock import DAY_US
from metering.limiters import Limiter
from metering.reports import read_names
from stats_service.pages import readings, rendering, standing
from stats_service.pages.needs import Services
from stats_service.pages.report import Report
from stats_service.pages.standing import Standing
from stats_service.remembered import Remembered

_REPORT_KEPT_S = 3.0
_WARM_DAYS = (30, 7, 1, 90, 365)
"""The ranges that can be clicked, the first one first; each is shown beside the one before."""


class Site:
    """One for each application. Used by any thread."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.templates = rendering.environment()
        self._reports = Remembered[tuple[int, int, int], Report](self._report, _REPORT_KEPT_S)

    def now_us(self) -> int:
        return self.services.clock()

    def reader(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection on which all selects see one commit. Raises StoreError."""
        return self.services.ranges.reader()

    def proxy_url(self, limiter: Limiter) -> str:
        """The address to hand out."""
        return f"{self.services.settings.public_proxy_url}/v1/{limiter.code}"

    def standings(
        self, connection: sqlite3.Connection, limiters: Sequence[Limiter], now_us: int
    ) -> list[Standing]:
        """Where limiters stand, in one query for all."""
        figures = readings.figures(connection, limiters, now_us)
        return [standing.standing(one, figures[one.key], now_us, self.proxy_url(one)) for one in limiters]

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
        from_us, to_us = days
        ranges = self.services.ranges
        sums = ranges.sums(from_us, to_us, today_us)
        # Names after sums: a limiter that was made meanwhile has one.
        with self.reader() as connection:
            names = read_names(connection)
        report = Report(sums, names, (from_us, to_us), lambda: ranges.user_costs(from_us, to_us, today_us))
        report.prepare()
        return report

    def warm_up(self, now_us: int) -> None:
        """Add up what the statistics page shows first. Takes as long as that takes. Raises StoreError."""
        tomorrow_us = now_us - now_us % DAY_US + DAY_US
        for days in _WARM_DAYS:
            for back in (1, 2):
                to_us = tomorrow_us - (back - 1) * days * DAY_US
                self.report(to_us - days * DAY_US, to_us, now_us)

    def page(self, request: Request, template: str, *, status: int = 200, **context: object) -> Response:
        """A page for who is signed in."""
        session = request.state.session
        defaults = {"username": session.username, "csrf": session.csrf, "now_us": self.now_us()}
        return rendering.html(self.templates, request, template, status, **(defaults | context))
