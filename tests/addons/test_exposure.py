"""What a client may take of everything, and for how long."""

import asyncio
from ipaddress import ip_network

import pytest

from addons.exposure import Bounds, Overdue, Peer, Peers, Phase
from addons.running import is_within
from scripts.standin import Answer, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import chat, chunked, request

BOUNDS = Bounds(
    connections=4,
    connections_per_address=2,
    requests_per_connection=3,
    header_timeout_s=5,
    body_timeout_s=50,
    idle_timeout_s=20,
    upstream_timeout_s=600,
)


def test_connections_are_bounded_by_address_and_in_total() -> None:
    peers = Peers(BOUNDS)

    assert peers.admit("1", "a") is not None
    assert peers.admit("2", "a") is not None
    assert peers.admit("3", "a") is None
    assert peers.admit("4", "b") is not None
    assert peers.admit("5", "c") is not None
    assert peers.admit("6", "d") is None
    peers.remove("1")
    peers.remove("1")
    assert peers.admit("7", "a") is not None
    assert len(peers) == 4


def test_a_proxy_in_front_of_us_may_have_more_connections_than_one_client() -> None:
    peers = Peers(BOUNDS, lambda address: address == "proxy")

    assert all(peers.admit(str(number), "proxy") is not None for number in range(4))
    assert peers.admit("5", "proxy") is None


def test_addresses_are_compared_with_networks() -> None:
    networks = [ip_network("10.0.0.0/8"), ip_network("::1")]

    assert is_within(networks, "10.1.2.3")
    assert is_within(networks, "::1")
    assert not is_within(networks, "11.0.0.1")
    assert not is_within(networks, "no address")


@pytest.mark.parametrize(
    ("phase", "limit_s", "remedy"),
    [
        (Phase.IDLE, 20, Overdue.CLOSE),
        (Phase.HEADERS, 5, Overdue.CLOSE),
        (Phase.BODY, 50, Overdue.CLOSE),
        (Phase.CONNECTING, 30, Overdue.CUT_UPSTREAM),
        (Phase.WAITING, 600, Overdue.CUT_UPSTREAM),
        (Phase.LINGERING, 2, Overdue.CLOSE),
    ],
)
def test_each_phase_has_its_time(phase: Phase, limit_s: float, remedy: Overdue) -> None:
    peer = Peer(BOUNDS)
    peer.enter(phase)
    # A whole number: with others the sum below may round up.
    peer.since_s = 1_000.0

    assert peer.overdue(peer.since_s + limit_s) is None
    assert peer.overdue(peer.since_s + limit_s + 0.1) is remedy


def test_our_own_turn_has_no_end() -> None:
    peer = Peer(BOUNDS)
    peer.enter(Phase.BUSY)

    assert peer.overdue(peer.since_s + 10**9) is None


async def restarted(proxy: Proxied, **settings: object) -> None:
    """The proxy with other settings."""
    await proxy.stop()
    proxy.set(**settings)
    await proxy.start()
    await proxy.until(lambda: len(proxy.run.peers) == 0)


async def test_one_address_cannot_take_all_connections(proxy: Proxied) -> None:
    await restarted(proxy, max_connections_per_address=2)

    async with proxy.connected() as first, proxy.connected():
        await first.send(request("GET", "/healthz"))
        assert (await first.reply()).status == 200
        await proxy.until(lambda: len(proxy.run.peers) == 2)
        async with proxy.connected() as third:
            assert await third.is_closed()
    await proxy.until(lambda: len(proxy.run.peers) == 0)
    assert (await proxy.send(request("GET", "/healthz"))).status == 200


async def test_connections_in_total_are_bounded(proxy: Proxied) -> None:
    await restarted(proxy, max_connections=1)

    async with proxy.connected():
        await proxy.until(lambda: len(proxy.run.peers) == 1)
        async with proxy.connected() as second:
            assert await second.is_closed()


async def test_a_connection_has_a_bounded_number_of_requests(proxy: Proxied, upstream: StandIn) -> None:
    await restarted(proxy, max_requests_per_connection=2)
    limiter = proxy.limiter(upstream)

    async with proxy.connected() as client:
        await client.send(chat(limiter.code))
        first = await client.reply()
        await client.send(chat(limiter.code))
        second = await client.reply()
        assert await client.is_closed()

    assert "connection" not in first.headers
    assert (second.status, second.headers["connection"]) == (200, "close")


async def test_headers_over_the_bound_are_refused(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)

    reply = await proxy.chat(limiter, "X-Large: " + "a" * 70_000)

    assert reply.status == 431
    assert reply.error["message"]
    assert upstream.received == []


async def test_a_header_of_forty_megabytes_is_not_kept(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)

    async with proxy.connected() as client:
        await client.send(f"GET /v1/{limiter.code}/models HTTP/1.1\r\nX: ".encode())
        sent = 0
        try:
            async with asyncio.timeout(20):
                while sent < 40_000_000:
                    await client.send(b"a" * 65_536)
                    sent += 65_536
        except ConnectionError:
            pass
        reply = await client.head()

    assert reply.status in (0, 431)
    assert upstream.received == []
    await proxy.until(lambda: len(proxy.run.peers) == 0)


async def test_a_slow_sender_of_headers_is_cut_off(proxy: Proxied) -> None:
    async with proxy.connected() as client:
        await client.send(b"GET /v1/")
        await proxy.until(lambda: any(peer.phase is Phase.HEADERS for _, peer in proxy.run.peers))
        ((_, peer),) = proxy.run.peers
        proxy.run.sweep(peer.since_s + 29)
        await client.send(b"x")
        since_s = peer.since_s
        proxy.run.sweep(since_s + 31)
        assert await client.is_closed()


async def test_a_slow_sender_of_a_body_is_cut_off_and_holds_nothing(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)

    async with proxy.connected() as client:
        await client.send(chat(limiter.code)[:-5])
        await proxy.until(lambda: any(peer.phase is Phase.BODY for _, peer in proxy.run.peers))
        ((_, peer),) = proxy.run.peers
        proxy.run.sweep(peer.since_s + 301)
        assert await client.is_closed()

    assert upstream.received == []
    assert proxy.rows() == []


async def test_an_idle_connection_is_closed(proxy: Proxied) -> None:
    async with proxy.connected() as client:
        await client.send(request("GET", "/healthz"))
        await client.reply()
        ((_, peer),) = proxy.run.peers
        assert peer.phase is Phase.IDLE
        proxy.run.sweep(peer.since_s + 121)
        assert await client.is_closed()


async def test_an_upstream_that_cannot_be_reached_in_time_is_given_up(proxy: Proxied) -> None:
    """An address of a net for documentation: packets to it go nowhere, or are refused at once."""
    limiter = proxy.limiter("http://192.0.2.1")

    async with proxy.connected() as client:
        await client.send(chat(limiter.code))
        await proxy.until(lambda: bool(proxy.rows("id")))
        for _, peer in proxy.run.peers:
            proxy.run.sweep(peer.since_s + 31)
        reply = await client.reply()

    assert (reply.status, reply.code) == (502, "upstream_unreachable")
    assert (await proxy.row())["state"] == "released"


async def test_a_declared_body_over_the_bound_is_refused_before_it_is_read(
    proxy: Proxied, upstream: StandIn
) -> None:
    await restarted(proxy, max_body_mb=1)
    limiter = proxy.limiter(upstream)

    reply = await proxy.send(
        request("POST", f"/v1/{limiter.code}/chat/completions", "Content-Length: 100000000000", body=b"{")
    )

    assert (reply.status, reply.code) == (413, "body_too_large")
    assert "1 MB" in reply.error["message"]
    assert upstream.received == []


async def test_a_chunked_body_over_the_bound_is_refused_while_it_is_read(
    proxy: Proxied, upstream: StandIn
) -> None:
    await restarted(proxy, max_body_mb=1)
    limiter = proxy.limiter(upstream)

    reply = await proxy.send(
        request(
            "POST",
            f"/v1/{limiter.code}/chat/completions",
            "Transfer-Encoding: chunked",
            body=chunked(*[b"a" * 65_536] * 20),
        )
    )

    assert (reply.status, reply.code) == (413, "body_too_large")
    assert upstream.received == []
    assert proxy.rows() == []


@pytest.mark.parametrize("body", [b"zz\r\nabc", b"-1\r\nabc", b"0x3\r\nabc\r\n", b"3\r\nabcXX0\r\n\r\n"])
async def test_a_body_in_broken_chunks_is_refused(proxy: Proxied, upstream: StandIn, body: bytes) -> None:
    limiter = proxy.limiter(upstream)
    path = f"/v1/{limiter.code}/chat/completions"

    async with proxy.connected() as client:
        await client.send(request("POST", path, "Transfer-Encoding: chunked", body=body))
        reply = await client.reply()
        assert await client.is_closed()

    assert (reply.status, reply.code) == (400, "invalid_request")
    assert reply.headers["connection"] == "close"
    assert upstream.received == []
    assert proxy.rows() == []


@pytest.mark.parametrize("hello", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x05\x01\x00", b"\x80"])
async def test_who_speaks_something_else_than_http_is_told_at_once(proxy: Proxied, hello: bytes) -> None:
    # A client with https:// in its address would else wait until the time for headers is over.
    reply = await proxy.send(hello)

    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_empty_lines_before_a_request_are_nothing_odd(proxy: Proxied) -> None:
    async with proxy.connected() as client:
        for part in (b"\r", b"\n", b"\r\n", request("GET", "/healthz")):
            await client.send(part)
            await proxy.until(lambda: len(proxy.run.peers) == 1)
        reply = await client.reply()

    assert reply.status == 200


async def test_a_chunk_header_without_end_is_not_kept(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)

    async with proxy.connected() as client:
        await client.send(
            request("POST", f"/v1/{limiter.code}/chat/completions", "Transfer-Encoding: chunked", body=b"1;")
        )
        try:
            for _ in range(100):
                await client.send(b"a" * 65_536)
        except ConnectionError:
            pass
        assert (await client.head()).status in (0, 400)

    await proxy.until(lambda: len(proxy.run.peers) == 0)
    assert upstream.received == []


async def test_too_much_pipelining_is_cut_off_and_leaves_no_hold(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)

    async def never(_: object) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    upstream.handler = never
    async with proxy.connected() as client:
        await client.send(chat(limiter.code))
        await proxy.until(lambda: bool(upstream.received))
        try:
            for _ in range(40):
                await client.send(b"a" * 65_536)
        except ConnectionError:
            pass
        assert await client.is_closed()

    await proxy.until(proxy.is_at_rest)
    assert len(upstream.received) == 1


async def test_a_refusal_does_not_wait_for_a_large_body(proxy: Proxied, upstream: StandIn) -> None:
    async with proxy.connected() as client:
        await client.send(request("POST", "/v1/nobody/files", "Content-Length: 50000000", body=b"a"))
        reply = await client.reply()

    assert (reply.status, reply.code) == (404, "limiter_not_found")
    assert reply.headers["connection"] == "close"


async def test_a_client_that_expects_to_be_asked_is_refused_without_its_body(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream, is_active=False)
    head = request("POST", f"/v1/{limiter.code}/files", "Expect: 100-continue", "Content-Length: 10")

    reply = await proxy.send(head)

    assert (reply.status, reply.code) == (403, "limiter_inactive")


async def test_a_client_that_expects_to_be_asked_is_asked(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    data = chat(limiter.code, "Expect: 100-continue")
    head, _, body = data.partition(b"\r\n\r\n")

    async with proxy.connected() as client:
        await client.send(head + b"\r\n\r\n")
        assert (await client.head()).status == 100
        await client.send(body)
        assert (await client.reply()).status == 200

    assert upstream.received[0].header("expect") is None


async def test_a_client_that_does_not_read_keeps_no_socket_open(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from addons import connections

    monkeypatch.setattr(connections, "LINGER_S", 0.05)
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(
        headers=[("content-type", "application/octet-stream")], body=b"a" * 30_000_000
    )

    async with proxy.connected() as client:
        # It stops to read after what its own buffer holds.
        await client.send(request("GET", f"/v1/{limiter.code}/files/f/content"))
        await proxy.until(
            lambda: any(
                peer.transport and peer.transport.get_write_buffer_size() for _, peer in proxy.run.peers
            )
        )
        ((identity, peer),) = proxy.run.peers
        assert peer.transport is not None
        connections.close_client(proxy.master, identity)
        one = peer.transport.get_extra_info("socket")
        await proxy.until(lambda: one.fileno() == -1)

    assert len(proxy.run.peers) == 0
