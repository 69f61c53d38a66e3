"""The dashboard: server-rendered pages over the same core as the API.

`routes` is all that the application mounts. One module a page (`listing`, `limiter`, `statistics`, `prices`, `login`), forms
that end in redirects (`editing`), files to take away (`exports`), the live stream (`live`). Under them, from pure to
impure: formats, scales, charts, lines ◄ standing, calls, limiters, forms ◄ readings, call_rows, limiter_rows ◄ site ◄ access.
Everything works without JavaScript; `static/` makes it comfortable.
"""

from starlette.routing import BaseRoute, Mount, Route

from stats_service.pages import access, editing, exports, limiter, listing, login, prices, statistics
from stats_service.pages.assets import Assets
from stats_service.pages.faults import fault_page
from stats_service.pages.live import Hub
from stats_service.pages.live_route import live
from stats_service.pages.needs import Services
from stats_service.pages.site import Site

__all__ = ["Dashboard", "fault_page", "routes"]


class Dashboard:
    """The routes, and the streams that have to end before the server can stop: call `close` when it is told to."""

    def __init__(self, services: Services) -> None:
        site = Site(services)
        hub = Hub(site)
        self.routes = _routes(site, hub)
        self.close = hub.close
        self.warm_up = site.warm_up


def routes(services: Services) -> list[BaseRoute]:
    """Everything that a browser asks for."""
    return Dashboard(services).routes


def _routes(site: Site, hub: Hub) -> list[BaseRoute]:
    shown = {
        "/": listing.page,
        "/limiters/new": editing.new,
        "/limiters/{id}": limiter.page,
        "/limiters/{id}/stats": limiter.stats,
        "/limiters/{id}/connect": editing.connect,
        "/limiters/{id}/edit": editing.edit,
        "/limiters/{id}/delete": editing.confirm_delete,
        "/limiters/{id}/rotate-code": editing.confirm_rotation,
        "/limiters/{id}/calls/{call}": limiter.call,
        "/statistics": statistics.page,
        "/prices": prices.page,
        "/export/requests.{kind}": exports.requests,
        "/export/{name}.{kind}": exports.table,
        "/limiters/{id}/export/calls.{kind}": exports.calls,
    }
    taken = {
        "/limiters/new": editing.create,
        "/limiters/active": editing.turn,
        "/limiters/{id}/edit": editing.save,
        "/limiters/{id}/delete": editing.delete,
        "/limiters/{id}/rotate-code": editing.rotate,
    }
    return [
        *(Route(path, access.taking(site, take), methods=["POST"]) for path, take in taken.items()),
        *(Route(path, access.showing(site, show), methods=["GET"]) for path, show in shown.items()),
        *login.routes(site),
        Route("/live", live(site, hub), methods=["GET"]),
        Mount("/static", Assets()),
    ]
