"""What is answered where no endpoint answers: JSON below the API's paths, a page elsewhere."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match

from stats_service import answers
from stats_service.pages import fault_page

_API = ("/api/", "/metrics", "/healthz")
_WORDS = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "The address exists, but not for this method."),
}
_FAULT = ("internal_error", "Something went wrong on our side; the log of the service tells what.")


def is_of_api(request: Request) -> bool:
    """Whether a program asks, rather than a browser."""
    path = request.url.path
    return path == "/api" or path.startswith(_API)


def of_http(request: Request, failure: Exception) -> Response:
    """No such address, or not for this method."""
    status = failure.status_code if isinstance(failure, HTTPException) else 500
    if status == 404 and (elsewhere := _without_slash(request)) is not None:
        return RedirectResponse(elsewhere, 308)
    methods = _methods(request) if status == 405 else []
    response = _answer(request, status)
    if methods:
        response.headers["Allow"] = ", ".join(methods)
    return response


def of_bug(request: Request) -> Response:
    """The server logs it; the client learns nothing."""
    return _answer(request, 500)


def only_here(request: Request) -> Response:
    """A stranger, while the default password is in use."""
    message = (
        "The default password is in use, so only this machine may come in, directly and by the name localhost. "
        "Set ADMIN_PASSWORD to change that."
    )
    if is_of_api(request):
        return answers.error(403, "default_password", message)
    return Response(f"{message}\n", 403, media_type="text/plain")


def _answer(request: Request, status: int) -> Response:
    if is_of_api(request):
        return answers.error(status, *_WORDS.get(status, _FAULT))
    return fault_page(request, status)


def _without_slash(request: Request) -> str | None:
    path = request.url.path
    shorter = path.rstrip("/")
    if not shorter.startswith("/") or shorter.startswith("//") or shorter == path:
        return None
    scope = {**request.scope, "path": shorter}
    if all(route.matches(scope)[0] is Match.NONE for route in request.app.routes):
        return None
    return f"{shorter}?{request.url.query}" if request.url.query else shorter


def _methods(request: Request) -> list[str]:
    """All that any route takes at this address."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)
