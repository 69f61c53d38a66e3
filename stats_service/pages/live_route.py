"""The route `/live`: a stream for who is signed in, with the calls of one limiter if its page asks for them."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stats_service.pages.live import Hub
from stats_service.pages.site import Site

_TYPE = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def live(site: Site, hub: Hub) -> Callable[[Request], Awaitable[Response]]:
    """401 without a session, so that the browser stops asking; 503 where too many look."""

    async def endpoint(request: Request) -> Response:
        if site.services.sessions.of(request) is None:
            return Response(status_code=401)
        if not hub.has_room:
            return Response(status_code=503)
        if request.method == "HEAD":
            return Response(media_type=_TYPE, headers=_HEADERS)
        limiter = request.query_params.get("limiter")
        events = hub.stream(limiter, lambda: site.services.sessions.of(request) is not None)
        return StreamingResponse(events, media_type=_TYPE, headers=_HEADERS)

    return endpoint
