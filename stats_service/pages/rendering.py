"""Templates to responses: one environment, escaped by default, and what every page knows (who is signed in, a message).

A message to confirm an action travels in a short-lived cookie, so that it survives the redirect after a form and nothing of
it stands in an address. Static files carry a hash of their content in their address and may be kept for good.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from metering.clock import SECOND_US, rfc3339
from stats_service.pages import formats

PACKAGE = Path(__file__).resolve().parent.parent
STATIC = PACKAGE / "static"
FLASH = "flash"
_FLASH_S = 30
_FLASH_MAX = 400


@cache
def environment() -> Environment:
    """The templates and their filters. Compiled once; safe to share."""
    templates = Environment(
        loader=FileSystemLoader(PACKAGE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: dict[str, Callable[..., str]] = {
        "money": formats.money,
        "exact": formats.exact,
        "count": formats.count,
        "compact": formats.compact,
        "span": formats.span,
        "ago": formats.ago,
        "latency": formats.latency,
        "moment": formats.moment,
        "moment_exact": formats.moment_exact,
        "rfc3339": rfc3339,
        "second": lambda us: rfc3339(us - us % SECOND_US),
        "resets": formats.resets,
        "shortened": formats.shortened,
        "host": lambda address: urlsplit(address).netloc,
    }
    templates.filters.update(filters)
    templates.globals["static"] = static
    return templates


@cache
def static(name: str) -> str:
    """The address of a static file, new with each change of its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


def html(templates: Environment, request: Request, name: str, status: int, **context: object) -> Response:
    """A page; shows the message of the action before it, once."""
    flash = read_flash(request)
    defaults = {"section": "", "live": "", "back": "/", "status": status}
    text = templates.get_template(name).render(defaults | {"flash": flash} | context)
    response = HTMLResponse(text, status, {"Cache-Control": "no-store"})
    if flash:
        response.delete_cookie(FLASH, path="/")
    return response


def redirect(path: str, text: str = "") -> Response:
    """To another page after a form, with a message that it shows."""
    response = RedirectResponse(path, 303)
    if text:
        value = quote(formats.shortened(text, _FLASH_MAX), safe="")
        response.set_cookie(FLASH, value, max_age=_FLASH_S, path="/", httponly=True, samesite="lax")
    return response


def read_flash(request: Request) -> str:
    """The message that a redirect left; empty where there is none."""
    return unquote(request.cookies.get(FLASH, ""))[:_FLASH_MAX]


def local_path(path: str) -> str:
    """A path of this site, or its first page: nobody is sent to another host by a link that was made up."""
    if not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable() or "\\" in path:
        return "/"
    return path
