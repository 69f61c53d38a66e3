"""Which headers go through."""

from addons.headers import are_odd, for_client, for_upstream, without

Fields = tuple[tuple[bytes, bytes], ...]


def test_the_upstream_gets_what_the_client_sent_without_what_is_for_the_hop() -> None:
    fields: Fields = (
        (b"Host", b"localhost:8000"),
        (b"Authorization", b"Bearer sk-1"),
        (b"api-key", b"k"),
        (b"OpenAI-Organization", b"org"),
        (b"X-Stainless-Lang", b"python"),
        (b"Accept-Encoding", b"gzip, br"),
        (b"Connection", b"keep-alive, X-Private"),
        (b"X-Private", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Authorization", b"Basic x"),
        (b"TE", b"trailers"),
        (b"Cookie", b"a=b"),
        (b"X-Forwarded-For", b"1.2.3.4"),
        (b"X-Real-IP", b"1.2.3.4"),
        (b"Forwarded", b"for=1.2.3.4"),
        (b"Via", b"1.1 nginx"),
        (b"X-HTTP-Method-Override", b"POST"),
        (b"X-Method-Override", b"POST"),
        (b"X-Rewrite-Url", b"/v1/chat/completions"),
        (b"X-User-Id", b"alice"),
        (b"Content-Length", b"2"),
    )

    assert for_upstream(fields, "api.openai.com") == [
        (b"host", b"api.openai.com"),
        (b"Authorization", b"Bearer sk-1"),
        (b"api-key", b"k"),
        (b"OpenAI-Organization", b"org"),
        (b"X-Stainless-Lang", b"python"),
        (b"Content-Length", b"2"),
        (b"accept-encoding", b"identity"),
    ]


def test_connection_cannot_take_away_what_identifies_the_client_or_frames_the_message() -> None:
    fields: Fields = (
        (b"Connection", b"Authorization, content-length"),
        (b"Authorization", b"x"),
        (b"Content-Length", b"2"),
    )

    assert for_upstream(fields, "h")[1:3] == [(b"Authorization", b"x"), (b"Content-Length", b"2")]


def test_every_connection_header_is_heard() -> None:
    fields: Fields = (
        (b"Connection", b"X-One"),
        (b"connection", b"close, x-two"),
        (b"X-One", b"1"),
        (b"X-Two", b"2"),
    )

    assert for_upstream(fields, "h") == [(b"host", b"h"), (b"accept-encoding", b"identity")]
    assert for_client(fields) == []


def test_the_client_gets_everything_but_hops_cookies_and_other_ways_in() -> None:
    fields: Fields = (
        (b"Content-Type", b"application/json"),
        (b"x-request-id", b"req_1"),
        (b"x-ratelimit-remaining-tokens", b"10"),
        (b"Set-Cookie", b"__cf_bm=1"),
        (b"X-Budget-Remaining", b"1000"),
        (b"x-request-cost", b"0"),
        (b"Alt-Svc", b'h3=":443"'),
        (b"Connection", b"keep-alive"),
        (b"Keep-Alive", b"5"),
        (b"Transfer-Encoding", b"chunked"),
    )

    assert [name for name, _ in for_client(fields)] == [
        b"Content-Type",
        b"x-request-id",
        b"x-ratelimit-remaining-tokens",
        b"Transfer-Encoding",
    ]


def test_headers_are_left_out_whatever_their_case() -> None:
    assert without([(b"Content-Length", b"1"), (b"A", b"b")], b"content-length") == [(b"A", b"b")]


def test_a_value_with_a_line_break_or_nul_is_odd() -> None:
    assert are_odd(((b"a", b"x\ry"),))
    assert are_odd(((b"a", b"x\ny"),))
    assert are_odd(((b"a", b"x\0"),))
    assert not are_odd(((b"a", "é".encode("latin-1")),))
