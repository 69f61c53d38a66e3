"""Whose address counts, and whether his connection is encrypted: only what a trusted proxy says is believed."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from metering.setting_values import networks
from stats_service.callers import address_of, is_forwarded, is_https
from stats_service.throttle import Throttle

TRUSTED = networks("127.0.0.1, ::1, 10.0.0.0/8")


def request(peer: str | None, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    client = None if peer is None else (peer, 50_000)
    return Request(
        {"type": "http", "method": "GET", "path": "/", "headers": raw, "client": client, "scheme": "http"}
    )


@pytest.mark.parametrize(
    ("peer", "chain", "address"),
    [
        ("203.0.113.1", None, "203.0.113.1"),
        ("203.0.113.1", "198.51.100.1", "203.0.113.1"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "192.0.2.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "192.0.2.1, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("127.0.0.1", "10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("127.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("::1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "198.51.100.1, nonsense", "127.0.0.1"),
        ("127.0.0.1", "nonsense, 10.1.2.3", "10.1.2.3"),
        (None, "198.51.100.1", ""),
        ("unix", "198.51.100.1", "unix"),
    ],
)
def test_the_address_is_the_last_one_that_a_trusted_proxy_vouches_for(
    peer: str | None, chain: str | None, address: str
) -> None:
    headers = {} if chain is None else {"x_forwarded_for": chain}
    assert address_of(request(peer, **headers), TRUSTED) == address


@pytest.mark.parametrize(
    ("peer", "said", "https"),
    [
        ("127.0.0.1", "https", True),
        ("127.0.0.1", "HTTPS", True),
        ("127.0.0.1", "http, https", True),
        ("127.0.0.1", "https, http", False),
        ("127.0.0.1", "", False),
        ("203.0.113.1", "https", False),
    ],
)
def test_https_is_what_the_nearest_trusted_proxy_says(peer: str, said: str, https: bool) -> None:
    assert is_https(request(peer, x_forwarded_proto=said), TRUSTED) is https


@pytest.mark.parametrize(("version", "forwarded"), [("1.0", True), ("1.1", False), ("2", False)])
def test_a_proxy_that_adds_no_header_is_known_by_its_old_http(version: str, forwarded: bool) -> None:
    asked = request("127.0.0.1", host="127.0.0.1:3000")
    asked.scope["http_version"] = version
    assert is_forwarded(asked) is forwarded


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1%eth0", "2001:db8::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("203.0.113.1", "::ffff:203.0.113.1", True),
        ("203.0.113.1", "203.0.113.2", False),
        ("", "unix", False),
    ],
)
def test_addresses_that_one_person_has_are_throttled_together(one: str, other: str, together: bool) -> None:
    throttle = Throttle()
    assert all(throttle.begin(one, 0) for _ in range(5))
    assert throttle.begin(other, 0) is not together
    assert throttle.wait_s(one, 59_000_001) == 1
    throttle.succeeded("198.51.100.9", 0)
