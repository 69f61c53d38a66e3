"""Which headers go through, in both directions.

Dropped: hop-by-hop headers and those that `Connection` names, cookies, `alt-svc`, whatever says where a request came
from, `x-user-id`, which is for us, what would have an upstream take the request for another one, and what an upstream that
is a proxy like this one says of its own budget. Identity coding is asked for, since what is compressed cannot be metered
as it passes. Everything else goes through as it is.
"""

from collections.abc import Iterable

Fields = tuple[tuple[bytes, bytes], ...]

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer upgrade".split()
)
_OF_REQUESTS = _HOP_BY_HOP | frozenset(
    b"""transfer-encoding host accept-encoding expect cookie http2-settings x-user-id
    x-http-method-override x-http-method x-method-override x-rewrite-url
    forwarded via x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-forwarded-server
    x-forwarded-prefix x-real-ip x-client-ip x-cluster-client-ip x-original-url x-original-forwarded-for
    x-original-host x-envoy-external-address x-envoy-original-path cf-connecting-ip cf-ray cf-visitor cf-ipcountry
    cdn-loop true-client-ip fastly-client-ip fly-client-ip""".split()
)
# Without `transfer-encoding`, which frames the answer on both sides.
_OF_ANSWERS = _HOP_BY_HOP | frozenset(
    b"""alt-svc set-cookie set-cookie2
    x-budget-limit x-budget-remaining x-budget-reset x-budget-clamped x-request-cost""".split()
)
_NOT_OF_HOPS = frozenset(b"content-length content-type authorization transfer-encoding".split())
"""Nobody may have the proxy drop what identifies him or frames the message."""
_IDENTITY = (b"accept-encoding", b"identity")


def for_upstream(fields: Fields, host: str) -> list[tuple[bytes, bytes]]:
    """The headers that the upstream gets."""
    named = _named_by_connection(fields)
    kept = [(b"host", host.encode())]
    kept += [
        field for field in fields if (name := field[0].lower()) not in _OF_REQUESTS and name not in named
    ]
    kept.append(_IDENTITY)
    return kept


def for_client(fields: Fields) -> list[tuple[bytes, bytes]]:
    """The headers that the client gets."""
    named = _named_by_connection(fields)
    return [field for field in fields if (name := field[0].lower()) not in _OF_ANSWERS and name not in named]


def without(fields: Iterable[tuple[bytes, bytes]], *names: bytes) -> list[tuple[bytes, bytes]]:
    """The headers without these, whose names are lower-case."""
    return [field for field in fields if field[0].lower() not in names]


def are_odd(fields: Fields) -> bool:
    """Whether a header has a line break or NUL in it: two readers would see two different requests."""
    values = b"".join([value for _, value in fields])
    return b"\r" in values or b"\n" in values or b"\0" in values


def _named_by_connection(fields: Fields) -> frozenset[bytes]:
    """What `Connection` declares to be for the next hop alone."""
    named: frozenset[bytes] = frozenset()
    for name, value in fields:
        if len(name) == 10 and name.lower() == b"connection":
            named |= {token.strip().lower() for token in value.split(b",")}
    return named - _NOT_OF_HOPS if named else named
