"""Where a call goes: a limiter's base URL and the rest of the path make one address.

Pure. A base without a path gets `/v1`; one with a path stays as it is. One overlap of the base's path and the rest is
dropped, so that clients which add a part of the path themselves arrive at the same place. Azure has paths of its own.
"""

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_AZURE_PATHS = ("", "/openai/v1")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Base:
    """A limiter's base URL, taken apart."""

    scheme: str
    host: str
    port: int
    path: str
    is_azure: bool

    @property
    def host_header(self) -> str:
        """The host as it is written in a Host header; the default port goes unsaid."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@lru_cache(maxsize=4_096)
def base_of(base_url: str) -> Base:
    """Take a stored base URL apart; the administrator's interface has validated it."""
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    return Base(
        parts.scheme,
        parts.hostname or "",
        parts.port or _PORTS[parts.scheme],
        parts.path.rstrip("/"),
        host.endswith(_AZURE_HOSTS),
    )


def upstream_path(base: Base, rest: str) -> str:
    """The path and query that the upstream gets."""
    if base.is_azure and base.path in _AZURE_PATHS:
        return _azure_path(rest)
    if not base.path:
        return f"/{rest}" if rest.startswith("openai/") else f"/v1/{rest}"
    return f"{base.path}/{_without_overlap(base.path, rest)}"


def upstream_url(base_url: str, rest: str) -> str:
    """The whole address."""
    base = base_of(base_url)
    return f"{base.scheme}://{base.host_header}{upstream_path(base, rest)}"


def _azure_path(rest: str) -> str:
    if rest.startswith(("openai/", "models/")):
        return f"/{rest}"
    if rest.startswith("deployments/"):
        return f"/openai/{rest}"
    return f"/openai/v1/{rest}"


def _without_overlap(path: str, rest: str) -> str:
    """The rest without the longest of its beginnings that the base's path ends in."""
    segments = path.split("/")[1:]
    for start in range(len(segments)):
        shared = "/".join(segments[start:]) + "/"
        if rest.startswith(shared):
            return rest[len(shared) :]
    return rest
