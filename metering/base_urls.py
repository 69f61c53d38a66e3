"""Which upstream addresses a limiter may have: http(s), and neither a cloud's link-local address nor ourselves.

A limiter whose upstream is the proxy itself would call itself until the budget is gone. Addresses are compared as they
are written; names are not looked up, because what they mean may change at any time.
"""

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from metering.errors import FieldError

Address = tuple[str, int]
"""Host and port of one of our own listeners; the host may be a wildcard."""
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
URL_MAX = 2_048
_PORTS = {"http": 80, "https": 443}
_TRANSLATED = tuple(ipaddress.IPv6Network(net) for net in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48"))
"""RFC 4291, RFC 6052 and RFC 8215: the last 32 bits are an IPv4 address."""


def http_url(host: str, port: int) -> str:
    """How a listener is reached: an IPv6 address stands in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def base_url(field: str, value: object, own_addresses: Collection[Address]) -> str:
    """The address as it is stored: without a slash at its end. Raises FieldError."""
    if not isinstance(value, str):
        raise FieldError(field, "must be text")
    text = value.strip()
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text or len(text) > URL_MAX:
        raise FieldError(field, f"must be an address of at most {URL_MAX} ASCII characters without spaces")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as wrong:
        raise FieldError(field, "is not a valid address") from wrong
    if parts.scheme not in _PORTS or not host:
        raise FieldError(field, "must start with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise FieldError(field, "must not contain credentials")
    if "?" in text or "#" in text:
        raise FieldError(field, "must not have a query or a fragment")
    if port == 0 or any(part in {".", ".."} for part in parts.path.split("/")) or "//" in parts.path:
        raise FieldError(field, "is not a valid address")
    address = _address(host)
    if address is not None and address.is_link_local:
        raise FieldError(field, "must not be a link-local address")
    if (address is None and not _is_name(host)) or (address is not None and address.is_multicast):
        raise FieldError(field, "is not a valid address")
    if any(_is_same(host, address, port or _PORTS[parts.scheme], own) for own in own_addresses):
        raise FieldError(field, "must not be this program's own address")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _is_name(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    return all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels)


def _is_same(host: str, address: IPAddress | None, port: int, own: Address) -> bool:
    own_host, own_port = own
    if port != own_port:
        return False
    own_address = _address(own_host)
    here = f".{host.removesuffix('.')}".endswith(".localhost") or (
        address is not None and (address.is_loopback or address.is_unspecified)
    )
    # Whoever listens on a wildcard or on loopback is reached through every spelling of "here".
    own_here = own_host == "localhost" or (
        own_address is not None and (own_address.is_loopback or own_address.is_unspecified)
    )
    if here and own_here:
        return True
    return host.removesuffix(".") == own_host.lower() if own_address is None else address == own_address


def _address(host: str) -> IPAddress | None:
    """The address that a host part spells, if it is not a name."""
    host = host.removesuffix(".")
    try:
        address: IPAddress = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            # Resolvers take 169.254.43518 or 0xa9fea9fe for an address, so they have to be seen as one.
            address = ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    return _inner(address) or address if isinstance(address, ipaddress.IPv6Address) else address


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that it leads to, where a system or a gateway translates."""
    if not (address.is_unspecified or address.is_loopback) and any(address in net for net in _TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
