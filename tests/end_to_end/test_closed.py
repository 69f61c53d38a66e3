"""The proxy fails closed: whatever is odd is refused in OpenAI's error shape and goes nowhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from scripts.standin import StandIn
from tests.end_to_end.stack import Admin, Stack
from tests.end_to_end.wire import exchange, post

CHAT = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}).encode()


@pytest.fixture
def limiter(admin: Admin, upstream: StandIn) -> Mapping[str, Any]:
    return admin.create(upstream.url)


@pytest.mark.parametrize(
    ("request_line", "headers"),
    [
        ("CONNECT 127.0.0.1:{upstream} HTTP/1.1", ""),
        ("GET http://127.0.0.1:{upstream}/v1/models HTTP/1.1", ""),
        ("GET http://mitm.it/ HTTP/1.1", "Host: mitm.it"),
        ("GET / HTTP/1.1", "Host: mitm.it"),
        ("GET /v1/models HTTP/1.1", "Host: 127.0.0.1:{upstream}"),
        ("GET /v1/{code}/../../secret HTTP/1.1", ""),
        ("GET /v1/{code}/%2e%2e/secret HTTP/1.1", ""),
        ("GET /v1/{code}/files//content HTTP/1.1", ""),
        ("GET /v1/{code}/files\\content HTTP/1.1", ""),
        ("GET /v1/{code}/files%2fcontent HTTP/1.1", ""),
        ("GET /v1/{code}/realtime?model=gpt-realtime HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket"),
        ("GET /v1/{code}/models HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c"),
        ("GET /api/limiters HTTP/1.1", ""),
        ("POST /v1/nosuchcodenosuchcodenosuch/chat/completions HTTP/1.1", "Content-Length: 0"),
    ],
)
def test_an_odd_request_reaches_no_upstream(
    stack: Stack, upstream: StandIn, limiter: Mapping[str, Any], request_line: str, headers: str
) -> None:
    text = (
        f"{request_line}\r\nHost: localhost\r\n{headers}\r\n\r\n"
        if "Host:" not in headers
        else f"{request_line}\r\n{headers}\r\n\r\n"
    )
    text = (
        text.replace("\r\n\r\n\r\n", "\r\n\r\n")
        .replace("{upstream}", str(upstream.port))
        .replace("{code}", limiter["code"])
    )
    reply = exchange(stack.proxy_port, text.encode("latin-1"))

    assert upstream.received == []
    assert reply.status == 0 or 400 <= reply.status < 500
    if reply.body:
        assert reply.error()["message"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"not json", (), 400, "invalid_request"),
        (b"[1]", (), 400, "invalid_request"),
        (b'{"model": "gpt-4o", "model": "gpt-4o-mini", "messages": []}', (), 400, "invalid_request"),
        (b'{"model": "gpt-4o", "messages": ' + b"[" * 200 + b"]" * 200 + b"}", (), 400, "invalid_request"),
        (b'{"model": "gpt-4o", "max_tokens": -1, "messages": []}', (), 400, "invalid_request"),
        (b'{"model": "gpt-4o", "n": true, "messages": []}', (), 400, "invalid_request"),
        (b'{"messages": []}', (), 400, "invalid_request"),
        (b'{"model": "gpt-4o\xff", "messages": []}', (), 400, "invalid_request"),
        (CHAT, ("Content-Encoding: gzip",), 415, "unsupported_encoding"),
    ],
)
def test_a_malformed_call_is_refused_with_a_reason(
    stack: Stack,
    upstream: StandIn,
    limiter: Mapping[str, Any],
    body: bytes,
    headers: tuple[str, ...],
    status: int,
    code: str,
) -> None:
    reply = exchange(stack.proxy_port, post(f"/v1/{limiter['code']}/chat/completions", body, *headers))

    assert (reply.status, reply.error()["code"]) == (status, code)
    assert reply.error()["type"] == "invalid_request_error"
    assert reply.headers["x-request-id"]
    assert upstream.received == []


def test_a_body_over_the_bound_is_refused_before_it_is_read(
    stack: Stack, upstream: StandIn, limiter: Mapping[str, Any]
) -> None:
    reply = exchange(
        stack.proxy_port,
        post(f"/v1/{limiter['code']}/chat/completions", b"{", "Content-Length: 100000000000"),
    )

    assert reply.status in (0, 413)
    assert upstream.received == []


def test_headers_over_the_bound_are_refused(
    stack: Stack, upstream: StandIn, limiter: Mapping[str, Any]
) -> None:
    reply = exchange(
        stack.proxy_port, post(f"/v1/{limiter['code']}/chat/completions", CHAT, "X-Large: " + "a" * 2_000_000)
    )

    assert reply.status == 0 or 400 <= reply.status < 500
    assert upstream.received == []


def test_a_client_that_sends_trailers_leaves_no_hold(
    stack: Stack, admin: Admin, upstream: StandIn, limiter: Mapping[str, Any]
) -> None:
    chunked = b"%x\r\n%s\r\n0\r\nX-Trailer: yes\r\n\r\n" % (len(CHAT), CHAT)
    exchange(
        stack.proxy_port,
        post(
            f"/v1/{limiter['code']}/chat/completions",
            chunked,
            "Transfer-Encoding: chunked",
            "Connection: close",
        ),
    )

    assert stack.at_rest(limiter["id"], admin)["held"] == 0


def test_an_upstream_that_cannot_be_reached_costs_nothing(stack: Stack, admin: Admin) -> None:
    limiter = admin.create("http://127.0.0.1:1")
    reply = exchange(stack.proxy_port, post(f"/v1/{limiter['code']}/chat/completions", CHAT))

    assert (reply.status, reply.error()["code"]) == (502, "upstream_unreachable")
    stats = stack.at_rest(limiter["id"], admin)
    assert (stats["current_spend"], stats["total_requests"]) == (0, 0)


def test_health_is_answered_and_the_api_is_named(stack: Stack) -> None:
    assert exchange(stack.proxy_port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
    reply = exchange(stack.proxy_port, b"GET /api/limiters HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply.status == 404
    assert str(stack.service_port) in reply.error()["message"]


def test_neither_key_nor_code_nor_prompt_is_in_the_logs(
    stack: Stack, admin: Admin, upstream: StandIn, limiter: Mapping[str, Any]
) -> None:
    secret = json.dumps(
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "my-secret-prompt"}]}
    ).encode()
    reply = exchange(
        stack.proxy_port,
        post(
            f"/v1/{limiter['code']}/chat/completions",
            secret,
            "Authorization: Bearer sk-very-secret",
            "Connection: close",
        ),
    )
    stack.at_rest(limiter["id"], admin)

    assert reply.status == 200
    log = stack.log("proxy")
    assert limiter["id"] in log
    assert "sk-very-secret" not in log
    assert "my-secret-prompt" not in log
    assert limiter["code"] not in log
