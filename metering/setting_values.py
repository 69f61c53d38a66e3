"""How the text of a setting becomes a value. Each reader raises ValueError with the end of a sentence about the setting.

Text that may be a secret is never repeated in an error.
"""

import ipaddress
import math
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from metering import base_urls
from metering.errors import FieldError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A whole number of the range, both ends included."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and lowest <= int(text) <= highest):
            raise ValueError(f"must be a whole number from {lowest} to {highest}, and is {text!r}")
        return int(text)

    return read


def seconds(lowest: float, highest: float) -> Callable[[str], float]:
    """A number of seconds of the range, both ends included."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not lowest <= value <= highest:
            raise ValueError(f"must be a number of seconds from {lowest:g} to {highest:g}, and is {text!r}")
        return value

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """One of the words, in any case."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, and is {text!r}")
        return text.lower()

    return read


def host(text: str) -> str:
    """An address or a name to listen on; an IPv6 address may have its brackets."""
    name = text.removeprefix("[").removesuffix("]")
    if not name.isascii() or not name.isprintable() or any(sign in name for sign in " /@[]"):
        raise ValueError(f"must be an address or a name, and is {text!r}")
    return name


def upstream(text: str) -> str:
    """The base URL of an upstream, as a limiter has it."""
    try:
        return base_urls.base_url("base_url", text, ())
    except FieldError as refused:
        raise ValueError(refused.reason) from refused


def public_url(text: str) -> str:
    """The address that clients know the proxy by, without a slash at its end."""
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not text.isascii() or any(sign in text for sign in " @?#\\"):
        raise ValueError("must be an address such as https://proxy.example.com")
    return text.rstrip("/")


def networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by commas."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as wrong:
        raise ValueError(f"must be addresses or networks separated by commas: {wrong}") from wrong


def database(root: Path) -> Callable[[str], Path]:
    """`sqlite:file` or `sqlite:///file`, relative to the root; `sqlite:/file` or `sqlite:////file` is absolute."""

    def read(text: str) -> Path:
        scheme, colon, place = text.partition(":")
        if scheme.lower() != "sqlite" or not colon:
            # It may be the address of another engine, with a password in it.
            raise ValueError("must start with sqlite: and name a file")
        if place.startswith("//"):
            # As in other programs: an empty host, a slash, and then the path.
            if not place.startswith("///"):
                raise ValueError(
                    "must not name a host: write sqlite:usage.db or sqlite:////absolute/usage.db"
                )
            place = place[3:]
        if not place or place.endswith("/") or ":memory:" in place or "?" in place or "\0" in place:
            raise ValueError("must name a file that lasts, without parameters")
        return (root / place).absolute()

    return read


def file(root: Path) -> Callable[[str], Path]:
    """A path, relative to the root."""

    def read(text: str) -> Path:
        if "\0" in text:
            raise ValueError("must name a file")
        return (root / Path(text).expanduser()).absolute()

    return read
