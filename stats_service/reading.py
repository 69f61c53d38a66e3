"""What requests of the API carry: a bounded JSON object, or parameters of the address. What is unknown is refused."""

import asyncio
from collections.abc import Collection, Mapping

from starlette.requests import Request

from stats_service import json_text
from stats_service.answers import ApiError

BODY_MAX_BYTES = 1024 * 1024
BODY_WITHIN_S = 30.0


async def json_object(request: Request) -> Mapping[str, object]:
    """The body. Raises ApiError."""
    text = await _body(request)
    try:
        value = json_text.read(text)
    except ValueError as wrong:
        raise ApiError(400, "invalid_json", f"The body {wrong}.") from wrong
    if not isinstance(value, dict):
        raise ApiError(422, "invalid_body", "The body must be a JSON object.")
    return value


def parameters(request: Request, known: Collection[str]) -> Mapping[str, str]:
    """The parameters of the address, each of them known and given once. Raises ApiError."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise invalid(name, f"is not a parameter of this call: there are {', '.join(known)}")
        if name in found:
            raise invalid(name, "is given twice")
        found[name] = value
    return found


def whole(given: Mapping[str, str], name: str, lowest: int, highest: int, default: int) -> int:
    """A whole number of the range. Raises ApiError."""
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and lowest <= int(text) <= highest):
        raise invalid(name, f"must be a whole number from {lowest} to {highest}")
    return int(text)


def invalid(field: str, reason: str) -> ApiError:
    """422 that names the field; `reason` completes the sentence."""
    return ApiError(422, "invalid_field", f"{field} {reason}.", field)


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "0")
    too_large = ApiError(413, "body_too_large", f"A body may have at most {BODY_MAX_BYTES} bytes.")
    if not length.isdecimal() or int(length) > BODY_MAX_BYTES:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for part in request.stream():
                size += len(part)
                if size > BODY_MAX_BYTES:
                    raise too_large
                parts.append(part)
    except TimeoutError as slow:
        raise ApiError(408, "body_timeout", "The body did not come in time.") from slow
    return b"".join(parts)
