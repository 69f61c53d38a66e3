"""Where a request came from, as far as it can be believed: headers of forwarding count only from a trusted proxy."""

import ipaddress
from collections.abc import Sequence

from starlette.requests import HTTPConnection

from metering.setting_values import Network

FORWARDING = ("via", "x-real-ip", "cf-connecting-ip", "x-envoy-external-address", "x-proxyuser-ip")
_FORWARDING_PARTS = ("forwarded", "client-ip", "clientip")
"""Beside all that say one of these: every proxy has a name of its own for it."""


def address_of(request: HTTPConnection, trusted: Sequence[Network]) -> str:
    """The address of the client: the last one in X-Forwarded-For that is no trusted proxy, if a trusted proxy sent it."""
    address = _peer(request)
    if not _is_trusted(address, trusted):
        return address
    chain = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for entry in reversed([part.strip() for part in chain]):
        named = _bare(entry)
        if named is None:
            break
        address = named
        if not _is_trusted(address, trusted):
            break
    return address


def is_https(request: HTTPConnection, trusted: Sequence[Network]) -> bool:
    """Whether the client's connection is encrypted, as far as a trusted proxy tells."""
    if request.url.scheme == "https":
        return True
    if not _is_trusted(_peer(request), trusted):
        return False
    # The proxy nearest to us wrote the last one.
    return request.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower() == "https"


def is_forwarded(request: HTTPConnection) -> bool:
    """Whether any program between the client and us gives away that it is there.

    nginx as it comes adds no header and names us as the host; it speaks HTTP/1.0 to us, which no browser and no SDK does.
    """
    if request.scope.get("http_version") == "1.0":
        return True
    return any(
        name in FORWARDING or any(part in name for part in _FORWARDING_PARTS) for name in request.headers
    )


def _peer(request: HTTPConnection) -> str:
    return request.client.host if request.client else ""


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in trusted)


def _bare(entry: str) -> str | None:
    """The address without a port or brackets."""
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(ipaddress.ip_address(entry))
    except ValueError:
        return None
