"""Method and path to what the call is: which limiter, which API family, which path of the upstream.

Pure, and the first thing that any request meets. mitmproxy normalises nothing, so whatever could mean one thing here and
another thing upstream is refused: `//`, `..`, backslashes, encoded slashes, dots and backslashes, control characters.
Only the one segment after `models/` may contain `%2F`, because model names do.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from urllib.parse import unquote

from addons.endpoints import Endpoint, as_asked, find


class Place(StrEnum):
    """Where a path leads that is not a limiter's."""

    HEALTH = "health"
    SERVICE = "service"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Route:
    """A path under a limiter's code. `rest` goes to the upstream, its query included."""

    code: str
    rest: str
    endpoint: Endpoint

    def asked(self, raw: bytes) -> "Route":
        """The route of a request with this body."""
        endpoint = as_asked(self.endpoint, raw)
        return self if endpoint is self.endpoint else replace(self, endpoint=endpoint)


class PathError(Exception):
    """The path is refused; the text is a whole sentence."""


_ODD = re.compile(r"//|\\|\.\.|[^!-~]|#|%(?:2e|5c|00|0a|0d|25)|(?:^|/)\.(?:/|$)", re.IGNORECASE)
_ENCODED_SLASH = re.compile(r"%2f", re.IGNORECASE)
_MODEL = re.compile(r"(?:(?<=/)|\A)models/[^/]*")
_REST_MAX = 8_192
_SHORT_MAX = 256


def read_path(method: str, target: str) -> Route | Place:
    """What a request target (path and query, as sent) is. Raises PathError."""
    # Clients ask for the same few paths again and again. What is kept is short: anybody may send anything as either.
    is_short = len(method) + len(target) <= _SHORT_MAX
    return _read_short(method, target) if is_short else _read(method, target)


def _read(method: str, target: str) -> Route | Place:
    path, mark, query = target.partition("?")
    if not path.startswith("/v1/"):
        return _elsewhere(method, path)
    code, _, rest = path[4:].partition("/")
    rest = rest.lstrip("/")
    if _ODD.search(rest) or _ODD.search(code) or not query.isascii() or not query.isprintable():
        raise PathError("The path contains characters that are not allowed in it.")
    if "%" in rest and _ENCODED_SLASH.search(_MODEL.sub("", rest)):
        raise PathError("The path contains an encoded slash.")
    if len(target) > _REST_MAX:
        raise PathError("The path is too long.")
    rest = rest.removeprefix("v1/")
    segments = rest.rstrip("/").split("/")
    if "%" in rest:
        segments = [unquote(segment) for segment in segments]
    return Route(code, rest + mark + query, find(method, segments))


_read_short = lru_cache(maxsize=10_000)(_read)


def _elsewhere(method: str, path: str) -> Place:
    if path == "/healthz" and method in ("GET", "HEAD"):
        return Place.HEALTH
    if path == "/api" or path.startswith("/api/"):
        return Place.SERVICE
    return Place.NOWHERE
