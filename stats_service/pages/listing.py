"""The page `/`: all limiters, as cards or as a table."""

import dataclasses

from starlette.requests import Request
from starlette.responses import Response

from stats_service.pages import limiters
from stats_service.pages.query import Query
from stats_service.pages.site import Site


def page(site: Site, request: Request) -> Response:
    """What the address asks for."""
    query = Query.read("/", request.query_params, limiters.DEFAULTS)
    now_us = site.now_us()
    everything = site.services.limiters.list()
    with site.reader() as connection:
        chosen = limiters.choose(query, site.standings(connection, everything, now_us))
        if query.view != "table":
            shown = site.with_sparks(connection, chosen.limiters, now_us)
            chosen = dataclasses.replace(chosen, limiters=shown)
    return site.page(request, "limiters.html", page=chosen, now_us=now_us, section="Limiters", live="/live")
