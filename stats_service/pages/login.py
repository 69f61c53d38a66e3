"""Signing in and out. After signing in the reader is where he wanted to be."""

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stats_service.pages import rendering
from stats_service.pages.access import read_form
from stats_service.pages.faults import fault_page
from stats_service.pages.needs import Verdict
from stats_service.pages.site import Site

ERRORS: Mapping[Verdict, tuple[int, str]] = {
    "wrong": (401, "This username and password do not fit together."),
    "throttled": (429, "Too many attempts from this address. Wait a minute, then try again."),
}


def routes(site: Site) -> list[Route]:
    """`/login` and `/logout`."""
    sessions = site.services.sessions

    async def show(request: Request) -> Response:
        target = rendering.local_path(request.query_params.get("next", "/"))
        if sessions.of(request) is not None:
            return RedirectResponse(target, 303)
        return _page(site, request, target)

    async def sign_in(request: Request) -> Response:
        typed = await read_form(request)
        if typed is None:
            return fault_page(request, 413)
        target = rendering.local_path(typed.get("next", "/"))
        if not sessions.is_own_form(request, typed):
            return fault_page(request, 403)
        username = typed.get("username", "").strip()
        verdict = await run_in_threadpool(sessions.check, request, username, typed.get("password", ""))
        if verdict != "welcome":
            status, error = ERRORS[verdict]
            return _page(site, request, target, status=status, error=error, username=username)
        response = RedirectResponse(target, 303)
        sessions.begin(request, response, username)
        return response

    async def sign_out(request: Request) -> Response:
        session = sessions.of(request)
        typed = await read_form(request)
        if session is not None and (typed is None or not sessions.is_own_form(request, typed)):
            return fault_page(request, 403, username=session.username, csrf=session.csrf)
        response = RedirectResponse("/login", 303)
        await run_in_threadpool(sessions.end, request, response)
        return response

    return [
        Route("/login", show, methods=["GET"]),
        Route("/login", sign_in, methods=["POST"]),
        Route("/logout", sign_out, methods=["POST"]),
    ]


def _page(
    site: Site, request: Request, target: str, *, status: int = 200, error: str = "", username: str = ""
) -> Response:
    return rendering.html(
        site.templates,
        request,
        "login.html",
        status,
        next=target,
        error=error,
        typed_username=username[:200],
        uses_default=site.services.settings.uses_default_password,
    )
