"""Who may see a page, and whose forms are taken.

An endpoint is a plain function of the site and the request, and of what was typed for a form. It runs in a thread, with a
session that is valid; without one the reader signs in and comes back. A form without the session's token is refused, and
what the core raises becomes a page.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from metering.errors import LimiterNotFound, StoreError
from stats_service.pages import rendering
from stats_service.pages.faults import NoSuchPage, fault_page
from stats_service.pages.site import Site

_log = logging.getLogger(__name__)
FORM_MAX_BYTES = 256 * 1024
FORM_WITHIN_S = 30.0
Show = Callable[[Site, Request], Response]
Take = Callable[[Site, Request, Mapping[str, str]], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def showing(site: Site, show: Show) -> Endpoint:
    """A page for who is signed in."""

    async def endpoint(request: Request) -> Response:
        if not _signed_in(site, request):
            return to_login(request)
        return await _guarded(site, request, lambda: show(site, request))

    return endpoint


def taking(site: Site, take: Take) -> Endpoint:
    """A form of who is signed in."""

    async def endpoint(request: Request) -> Response:
        if not _signed_in(site, request):
            return to_login(request)
        typed = await read_form(request)
        if typed is None:
            return _fault(request, 413)
        if not site.services.sessions.is_own_form(request, typed):
            return _fault(request, 403)
        return await _guarded(site, request, lambda: take(site, request, typed))

    return endpoint


async def read_form(request: Request) -> Mapping[str, str] | None:
    """The fields of a form, or None where it is larger than any of ours, or does not come."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > FORM_MAX_BYTES:
        return None
    try:
        async with asyncio.timeout(FORM_WITHIN_S):
            form = await request.form(max_files=0, max_fields=100)
    except TimeoutError:
        return None
    return {name: value for name, value in form.items() if isinstance(value, str)}


def to_login(request: Request) -> Response:
    """To the login, and back afterwards. After a form that is the page that it stood on."""
    path = _path(request.url.path, request.url.query) if request.method == "GET" else _form_page(request)
    return RedirectResponse("/login" if path == "/" else f"/login?next={quote(path, safe='/')}", 303)


def _form_page(request: Request) -> str:
    """Where the browser says that a form stood, if that is here."""
    try:
        page = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    if page.netloc.lower() != request.headers.get("host", "").lower():
        return "/"
    return rendering.local_path(_path(page.path, page.query))


def _path(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _signed_in(site: Site, request: Request) -> bool:
    session = site.services.sessions.of(request)
    request.state.session = session
    return session is not None


async def _guarded(site: Site, request: Request, work: Callable[[], Response]) -> Response:
    try:
        return await run_in_threadpool(work)
    except (LimiterNotFound, NoSuchPage):
        return _fault(request, 404)
    except StoreError as failure:
        _log.error("%s", failure)
        return _fault(request, 503)


def _fault(request: Request, status: int) -> Response:
    session = request.state.session
    return fault_page(request, status, username=session.username, csrf=session.csrf)
