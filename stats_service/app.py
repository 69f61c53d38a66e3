"""The stats service: management API and dashboard on one core.

`create_app` opens what can fail (settings, database, price book) and raises where it cannot serve; what runs beside the
requests lives from the server's start to its end. `stop_streams` ends the live streams, which a server that is told to
stop has to do before it waits for its connections.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from metering.clock import Clock, now_us
from metering.pricing import PriceBookFile
from metering.settings import Settings
from stats_service import api, faults
from stats_service.access_log import AccessLog
from stats_service.expiring import Expiring
from stats_service.pages import Dashboard
from stats_service.security import Guard
from stats_service.services import ServiceParts
from stats_service.warming import Warming


def create_app(
    settings: Settings, clock: Clock = now_us, *, prices: PriceBookFile | None = None
) -> Starlette:
    """The application. Raises MeteringError where a setting, the database or the price book cannot be used.

    `prices` is a price book that is open already; without one, that of the settings is read.
    """
    parts = ServiceParts.open(settings, clock, prices)
    dashboard = Dashboard(parts)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        expiring = Expiring(parts.database, clock)
        warming = Warming(dashboard.warm_up, clock)
        expiring.start()
        warming.start()
        try:
            yield
        finally:
            dashboard.close()
            warming.stop()
            expiring.stop()

    app = Starlette(
        routes=[*api.routes(parts), *dashboard.routes],
        lifespan=lifespan,
        middleware=[
            Middleware(AccessLog, trusted=settings.trusted_proxies),
            Middleware(
                Guard,
                uses_default=settings.uses_default_password,
                refuse=faults.only_here,
                apologize=faults.of_bug,
            ),
        ],
        exception_handlers={HTTPException: faults.of_http},
    )
    # Answered by ourselves: the router's own redirect would be absolute, by the Host that the client names.
    app.router.redirect_slashes = False
    app.state.parts = parts
    app.state.stop_streams = dashboard.close
    return app
