"""The routes of the API, and what surrounds each of them: a valid token, and errors in their one shape.

The table below is the whole of it: path, method, endpoint, and whether it is open.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from metering.errors import FieldError, LimiterNotFound, StoreError
from stats_service import answers, api_limiters, api_login, api_stats, api_usage, health, metrics, openapi
from stats_service.answers import ApiError
from stats_service.services import ServiceParts

_log = logging.getLogger(__name__)
Endpoint = Callable[[ServiceParts, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API."""

    method: str
    path: str
    endpoint: Endpoint
    is_open: bool = False


CALLS = (
    Call("POST", "/api/auth/login", api_login.login, is_open=True),
    Call("GET", "/api/limiters", api_limiters.every),
    Call("POST", "/api/limiters", api_limiters.create),
    Call("GET", "/api/limiters/{id}", api_limiters.one),
    Call("PUT", "/api/limiters/{id}", api_limiters.change),
    Call("DELETE", "/api/limiters/{id}", api_limiters.delete),
    Call("POST", "/api/limiters/{id}/rotate-code", api_limiters.rotate),
    Call("GET", "/api/limiters/{id}/stats", api_usage.stats),
    Call("GET", "/api/limiters/{id}/usage", api_usage.usage),
    Call("GET", "/api/stats", api_stats.stats),
    Call("GET", "/api/openapi.json", openapi.openapi, is_open=True),
    Call("GET", "/healthz", health.health, is_open=True),
    Call("GET", "/metrics", metrics.metrics),
)


def routes(parts: ServiceParts) -> list[Route]:
    """One route for each path, so that a wrong method is told all that are right."""
    by_path: dict[str, dict[str, Call]] = {}
    for call in CALLS:
        by_path.setdefault(call.path, {})[call.method] = call
    return [Route(path, _endpoint(parts, calls), methods=list(calls)) for path, calls in by_path.items()]


def fault(failure: Exception) -> Response | None:
    """The answer to what the core raises, or None where it is a bug."""
    match failure:
        case ApiError():
            return failure.response
        case FieldError():
            return answers.error(422, "invalid_field", f"{failure}.", failure.field)
        case LimiterNotFound():
            return answers.error(404, "limiter_not_found", "There is no limiter with this id.")
        case StoreError():
            _log.error("%s", failure)
            return answers.error(503, "database_unavailable", str(failure), headers={"Retry-After": "5"})
        case _:
            return None


def _endpoint(parts: ServiceParts, calls: dict[str, Call]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        call = calls["GET" if request.method == "HEAD" else request.method]
        if not call.is_open and parts.auth.username_of(request) is None:
            return answers.error(
                401,
                "unauthorized",
                "A valid token is required: Authorization: Bearer, from POST /api/auth/login.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        try:
            return await call.endpoint(parts, request)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as failure:
            answer = fault(failure)
            if answer is None:
                raise
            return answer

    return endpoint
