"""Every answer that the proxy gives by itself: status, code, wording, headers.

All in OpenAI's error shape, with an `x-request-id` and with the headers that let a browser read them. `type` is
`invalid_request_error` below 500 and `server_error` from there; a used-up budget says `429`.
"""

import secrets
from dataclasses import dataclass

import orjson
from mitmproxy import http
from mitmproxy.net.http import status_codes

from metering.base_urls import http_url
from metering.clock import SECOND_US
from metering.entries import Refused
from metering.money import shown

Fields = tuple[tuple[bytes, bytes], ...]
_MODEL_MAX = 128

_CORS: Fields = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"x-request-id, retry-after, x-should-retry"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer of our own. `code` is also what refusals are counted by."""

    status: int
    code: str
    message: str
    type: str = ""
    headers: Fields = ()
    unpriced: str | None = None
    """The model that has no price, if that is why."""


def limiter_not_found() -> Refusal:
    """The code is unknown, was rotated, or its limiter was deleted."""
    message = "There is no limiter at this address. Copy the address from the dashboard again."
    return Refusal(status=404, code="limiter_not_found", message=message)


def limiter_inactive() -> Refusal:
    """The administrator has switched the limiter off."""
    return Refusal(status=403, code="limiter_inactive", message="This limiter is switched off.")


def budget_exceeded(refused: Refused, *, hide_amounts: bool = False) -> Refusal:
    """The budget is used up, or in strict the call could cost more than what is left of it."""
    used, budget = refused.used_nanousd, refused.budget_nanousd
    percent = _percent(used, budget)
    if hide_amounts:
        message = f"Budget limit exceeded. Current usage: {percent}%"
    else:
        amounts = f"{shown(used)}/{shown(budget)} per {refused.period or 'period'}"
        message = f"Budget limit exceeded: {amounts}. Current usage: {percent}%"
    if refused.mode == "strict" and used < budget:
        could_cost = "more than is left" if hide_amounts else f"up to {shown(refused.hold_nanousd)}"
        message += f" This request could cost {could_cost}."
    headers = [(b"x-should-retry", b"false")]
    if refused.window is not None:
        wait_s = max(1, -((refused.at_us - refused.window.end_us) // SECOND_US))
        headers.append((b"retry-after", b"%d" % wait_s))
    return Refusal(status=429, code="budget_exceeded", message=message, type="429", headers=tuple(headers))


def model_not_priced(model: str) -> Refusal:
    """Unknown is expensive, not free."""
    message = (
        f"There is no price for the model '{model}', so its cost cannot be limited. Add it to the price book, map it to a "
        "priced model in the limiter's model_map, or let the limiter charge unpriced models at the fallback price."
    )
    return Refusal(status=400, code="model_not_priced", message=message, unpriced=shown_model(model))


def shown_model(model: str) -> str:
    """A name that clients made up, as it can be stored and shown."""
    return "".join(sign for sign in model[:_MODEL_MAX] if sign.isprintable())


def endpoint_not_metered(endpoint: str, reason: str = "") -> Refusal:
    """The endpoint bills later, out of band, or in a way that is not known."""
    why = reason or "What this endpoint costs cannot be known when it is called"
    message = f"{why}: {endpoint or '/'}. The limiter can allow it with allow_unmetered."
    return Refusal(status=403, code="endpoint_not_metered", message=message)


def unboundable(reason: str) -> Refusal:
    """Strict alone: the call has no highest possible cost."""
    message = f"This limiter is strict, and the highest possible cost of this call is not known: {reason}."
    return Refusal(status=403, code="endpoint_not_metered", message=message)


def websocket_not_supported() -> Refusal:
    """Any Upgrade: what would follow could not be metered."""
    message = "Upgrading the connection (WebSocket, h2c) is not supported here."
    return Refusal(status=403, code="websocket_not_supported", message=message)


def invalid_request(reason: str) -> Refusal:
    """The body or a header cannot be used; `reason` is a whole sentence."""
    return Refusal(status=400, code="invalid_request", message=reason)


def invalid_path(reason: str) -> Refusal:
    """The path could mean different things here and upstream."""
    return Refusal(status=400, code="invalid_path", message=reason)


def unsupported_encoding() -> Refusal:
    """A compressed request: its size says nothing about its cost."""
    message = "Compressed request bodies are not supported: send the body without Content-Encoding."
    return Refusal(status=415, code="unsupported_encoding", message=message)


def body_too_large(max_mb: int) -> Refusal:
    """More than MAX_BODY_MB."""
    return Refusal(status=413, code="body_too_large", message=f"The request body is larger than {max_mb} MB.")


def headers_too_large(max_bytes: int) -> Refusal:
    """More than MAX_HEADER_BYTES."""
    message = f"The request's headers are larger than {max_bytes} bytes."
    return Refusal(status=431, code="invalid_request", message=message)


def upstream_unreachable() -> Refusal:
    """No connection, or it broke before an answer came."""
    message = "The upstream API could not be reached, or it broke off before it answered."
    return Refusal(status=502, code="upstream_unreachable", message=message)


def upstream_timeout() -> Refusal:
    """Connected, but silent for too long."""
    return Refusal(status=504, code="upstream_timeout", message="The upstream API did not answer in time.")


def limiter_unavailable(reason: str = "") -> Refusal:
    """The database or a fault of our own: nothing goes upstream that is not accounted for."""
    message = (
        reason or "The limiter cannot account for calls at the moment, so none is forwarded. Try again later."
    )
    return Refusal(status=503, code="limiter_unavailable", message=message)


def not_found() -> Refusal:
    """Nothing is served at this path."""
    message = "Nothing is served at this path. A limiter's address is /v1/<code>."
    return Refusal(status=404, code="not_found", message=message)


def service_elsewhere(host: str, port: int) -> Refusal:
    """The management API has a port of its own."""
    address = http_url(host, port)
    message = f"The management API is not served here but by the stats service, at {address}."
    return Refusal(status=404, code="not_found", message=message)


def answer(refusal: Refusal) -> http.Response:
    """The refusal as a response."""
    body = _body(refusal)
    fields = (
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", b"req_" + secrets.token_hex(12).encode()),
        *_CORS,
        *refusal.headers,
    )
    reason = status_codes.RESPONSES.get(refusal.status, "").encode()
    return http.Response(b"HTTP/1.1", refusal.status, reason, http.Headers(fields), body, None, 0.0, 0.0)


def is_preflight(request: http.Request) -> bool:
    """Whether a browser asks if a page may send a request."""
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def preflight(request: http.Request) -> http.Response:
    """Allows a page to send a request that will be refused: otherwise it could not read why."""
    asked = request.headers
    allowed = {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": asked["access-control-request-method"],
        "access-control-allow-headers": asked.get("access-control-request-headers", "*"),
        "vary": "access-control-request-method, access-control-request-headers",
    }
    response = http.Response.make(204, b"", allowed)
    # An answer that has no body has no length either.
    del response.headers["content-length"]
    return response


def healthy() -> http.Response:
    """The answer of `/healthz`."""
    return http.Response.make(200, b'{"status":"ok"}', {"content-type": "application/json"})


def _body(refusal: Refusal) -> bytes:
    kind = refusal.type or ("server_error" if refusal.status >= 500 else "invalid_request_error")
    # A name that a client has sent may be half a surrogate pair, which no UTF-8 has.
    message = refusal.message.encode(errors="replace").decode()
    error = {"message": message, "type": kind, "code": refusal.code, "param": None}
    return orjson.dumps({"error": error})


def _percent(used: int, budget: int) -> str:
    """Percent with one decimal, half up. Of a budget of nothing, everything is used."""
    tenths = (2_000 * used + budget) // (2 * budget) if budget > 0 else 1_000
    return f"{tenths // 10}.{tenths % 10}"
