"""What is refused by a request's headers alone, before any of its body is read.

A refusal whose request has much more to come does not wait for it: the answer goes out and the connection is closed.
"""

from mitmproxy import http

from addons import headers, refusals
from addons.endpoints import SAFE_METHODS
from addons.exposure import Bounds
from addons.http1 import attach
from addons.paths import Place
from addons.refusals import Refusal
from metering.settings import Settings

READ_BYTES_MAX = 65_536
_MEGABYTE = 1_048_576
_READABLE = ("limiter_not_found", "limiter_inactive", "invalid_path")
"""What a browser asks about first, and can read only where it was allowed to send the request itself."""


def refusal_of(request: http.Request, bounds: Bounds) -> Refusal | None:
    """Why no request like this is served, whichever limiter it is for."""
    given = request.headers
    names = {name.lower() for name, _ in given.fields}
    if b"upgrade" in names:
        return refusals.websocket_not_supported()
    if request.data.authority:
        return refusals.invalid_path("Only a path is accepted as the target of a request.")
    if headers.are_odd(given.fields):
        return refusals.invalid_request("A header contains a line break or a NUL.")
    if request.method in SAFE_METHODS and not has_body(request):
        return None
    if b"content-encoding" in names and not _is(given["content-encoding"], "", "identity"):
        return refusals.unsupported_encoding()
    if b"transfer-encoding" in names and not _is(given["transfer-encoding"], "chunked"):
        return refusals.unsupported_encoding()
    if declared_bytes(request) > bounds.body_bytes:
        return refusals.body_too_large(bounds.body_bytes // _MEGABYTE)
    return None


def _is(coding: str, *allowed: str) -> bool:
    return coding.strip(" \t").lower() in allowed


def elsewhere(place: Place, settings: Settings) -> Refusal | http.Response:
    """The answer to a path that is no limiter's."""
    if place is Place.HEALTH:
        return refusals.healthy()
    if place is Place.SERVICE:
        return refusals.service_elsewhere(settings.stats_host, settings.stats_port)
    return refusals.not_found()


def refuse(flow: http.HTTPFlow, refusal: Refusal) -> None:
    """Answer a request whose headers have come, and whose body may be on its way."""
    request = flow.request
    if refusal.code in _READABLE and refusals.is_preflight(request):
        flow.response = refusals.preflight(request)
        return
    is_chunked = "transfer-encoding" in request.headers
    if is_chunked or "expect" in request.headers or declared_bytes(request) > READ_BYTES_MAX:
        attach(request, refusal)
        flow.kill()
    else:
        flow.response = refusals.answer(refusal)


def declared_bytes(request: http.Request) -> int:
    """The length that the request declares; 0 where it declares none."""
    declared = request.headers.get("content-length", "0")
    return int(declared) if declared.isdigit() else 0


def has_body(request: http.Request) -> bool:
    """Whether a body is to come."""
    return "transfer-encoding" in request.headers or declared_bytes(request) > 0
