"""`POST /api/auth/login`: a token for name and password."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stats_service import answers
from stats_service.answers import ApiError
from stats_service.reading import invalid, json_object
from stats_service.services import ServiceParts
from stats_service.sessions import is_same_site

_FIELDS = ("username", "password")


async def login(parts: ServiceParts, request: Request) -> Response:
    """The token; 401 where the two do not fit together, 429 after five failures in a minute."""
    if not is_same_site(request):
        raise ApiError(403, "foreign_site", "A page of another site cannot sign in here.")
    given = await json_object(request)
    for name in given:
        if name not in _FIELDS:
            raise invalid(name, "is not a field of this call")
    username, password = (_text(given, name) for name in _FIELDS)
    verdict = await run_in_threadpool(parts.auth.check, request, username, password)
    if verdict == "throttled":
        wait_s = parts.auth.wait_s(request)
        message = f"Too many failed attempts from this address: try again in {wait_s} s."
        return answers.error(429, "too_many_attempts", message, headers={"Retry-After": str(wait_s)})
    if verdict == "wrong":
        return answers.error(401, "wrong_credentials", "The username and the password do not fit together.")
    return answers.json({"token": parts.auth.issue(username), "username": username})


def _text(given: object, name: str) -> str:
    value = given.get(name) if isinstance(given, dict) else None
    if value is None:
        raise invalid(name, "is required")
    if not isinstance(value, str):
        raise invalid(name, "must be text")
    return value
