"""Error pages: calm, in plain words, with a way out. What they say depends on the status alone, never on the fault."""

from starlette.requests import Request
from starlette.responses import Response

from stats_service.pages import rendering


class NoSuchPage(Exception):  # It says what it is.
    """The address names nothing."""


_WORDS = {
    400: ("This request cannot be understood", "The address or the form is not as it should be."),
    403: ("This form has expired", "It was open for too long, or did not come from here. Go back, reload the page and try again. Nothing was changed."),
    404: ("There is nothing here", "The page does not exist, or the limiter was deleted."),
    405: ("This cannot be done here", "The page exists, but not for this kind of request."),
    413: ("This is too much", "The form is larger than any that this page has."),
    429: ("Too many requests", "Wait a minute, then try again."),
    500: ("Something went wrong on our side", "The fault is in the log of the service. Nothing was changed by this request unless a page says so."),
    503: ("The database does not answer", "It is busy or out of reach. The proxy refuses calls until it is back; nothing is lost. Try again in a moment."),
}  # fmt: skip


def fault_page(request: Request, status: int, *, username: str = "", csrf: str = "") -> Response:
    """The page for a status. 503 offers to try again, since that may well help."""
    title, text = _WORDS.get(status, _WORDS[500 if status >= 500 else 400])
    return rendering.html(
        rendering.environment(),
        request,
        "error.html",
        status,
        title=title,
        text=text,
        username=username,
        csrf=csrf,
        retry=_again(request) if status == 503 and request.method == "GET" else "",
    )


def _again(request: Request) -> str:
    query = request.url.query
    return rendering.local_path(f"{request.url.path}?{query}" if query else request.url.path)
