"""All that the pages and the API need, put together once."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from metering.clock import Clock
from metering.database import Database
from metering.limiters import Limiters
from metering.pricing import PriceBookFile
from metering.settings import Settings
from stats_service.auth import Auth
from stats_service.ended import EndedSessions
from stats_service.secret import jwt_secret
from stats_service.sessions import CookieSessions
from stats_service.sums import RangeReader

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceParts:
    """Used by any thread."""

    clock: Clock
    settings: Settings
    database: Database
    limiters: Limiters
    prices: PriceBookFile
    auth: Auth
    sessions: CookieSessions
    ranges: RangeReader

    @classmethod
    def open(cls, settings: Settings, clock: Clock, prices: PriceBookFile | None = None) -> "ServiceParts":
        """Make or migrate the database, read the price book and the secret. Raises MeteringError."""
        settings.refuse_unsafe_service()
        database = Database(settings.database_path)
        database.migrate(clock)
        secret = jwt_secret(settings)
        auth = Auth(settings, secret, clock)
        return cls(
            clock=clock,
            settings=settings,
            database=database,
            limiters=Limiters(
                database,
                clock,
                default_base_url=settings.openai_api_base_url,
                own_addresses=settings.own_addresses,
            ),
            prices=prices or _read_prices(settings, clock),
            auth=auth,
            sessions=CookieSessions(settings, secret, auth, clock, EndedSessions(database, clock)),
            ranges=RangeReader(database),
        )


def _read_prices(settings: Settings, clock: Clock) -> PriceBookFile:
    return PriceBookFile(
        settings.pricing_file,
        clock=clock,
        on_error=lambda error: _log.error("The price book is not reloaded. %s", error),
        on_reload=lambda _: _log.info("The price book was reloaded."),
        start=_in_a_thread,
    )


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True, name="price book").start()
