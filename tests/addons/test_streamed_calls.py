"""Streaming is streaming: each event goes on before the next is sent, to the byte, and the usage is seen on the way."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator

import pytest

from scripts.standin import Answer, Received, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import (
    COST_NANOUSD,
    DONE,
    EVENTS,
    chat,
    chunked,
    delta,
    event,
    json_answer,
    pieces,
    stream,
    usage_chunk,
)


async def test_each_event_reaches_the_client_before_the_upstream_sends_the_next(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    may_go_on = asyncio.Semaphore(0)
    sent: list[int] = []

    async def step_by_step() -> AsyncIterator[bytes]:
        for number in range(5):
            await may_go_on.acquire()
            sent.append(number)
            yield delta(f"word {number}")
        await may_go_on.acquire()
        yield usage_chunk()
        yield DONE

    upstream.handler = lambda _: Answer(headers=EVENTS, chunks=step_by_step())
    async with proxy.connected() as client:
        await client.send(chat(limiter.code, stream=True))
        head = await client.head()
        for number in range(5):
            assert sent == list(range(number))
            may_go_on.release()
            assert await client.chunk() == delta(f"word {number}")
        may_go_on.release()
        rest = b""
        while chunk := await client.chunk():
            rest += chunk

    assert head.status == 200
    assert head.headers["x-budget-remaining"] < "1"
    assert rest == DONE, "nobody asked for the usage chunk"
    row = await proxy.row()
    assert (row["cost_nanousd"], row["basis"], row["streamed"]) == (COST_NANOUSD, "reported", 1)


async def test_the_settle_is_queued_before_the_client_has_the_end(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream, "0.0001")
    upstream.handler = lambda _: stream(delta("a"), usage_chunk(), DONE)

    async with proxy.connected() as client:
        await client.send(chat(limiter.code, stream=True))
        await client.reply()
        await client.send(chat(limiter.code, stream=True))
        second = await client.reply()

    assert second.status == 429
    assert "Budget limit exceeded: $0.0002/$0.0001" in second.error["message"]


async def test_a_client_that_asks_for_usage_gets_it(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: stream(delta("a", usage=None), usage_chunk(), DONE)

    reply = await proxy.chat(limiter, stream=True, stream_options={"include_usage": True})

    assert reply.body == delta("a", usage=None) + usage_chunk() + DONE
    assert json.loads(upstream.received[0].body)["stream_options"] == {"include_usage": True}
    assert (await proxy.row())["cost_nanousd"] == COST_NANOUSD


async def test_what_the_proxy_asked_for_is_kept_from_the_client(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: stream(delta("a", usage=None), usage_chunk(), DONE)

    reply = await proxy.chat(limiter, stream=True, stream_options={"include_usage": False})

    assert reply.body == delta("a").replace(b"}]}", b"}]}") + DONE
    assert json.loads(upstream.received[0].body)["stream_options"] == {"include_usage": True}


async def test_an_upstream_that_refuses_to_be_asked_for_usage_is_not_asked_again(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)

    def answer(received: Received) -> Answer:
        if b"stream_options" in received.body:
            error = {"error": {"message": "Unrecognized request argument supplied: stream_options"}}
            return json_answer(error, 400)
        return stream(delta("one two three"), DONE)

    upstream.handler = answer
    first = await proxy.chat(limiter, stream=True)
    second = await proxy.chat(limiter, stream=True)

    assert (first.status, first.headers["x-should-retry"]) == (400, "true")
    assert b"Unrecognized request argument" in first.body
    assert second.status == 200
    assert second.body == delta("one two three") + DONE
    await proxy.until(proxy.is_at_rest)
    released, estimated = proxy.rows()
    assert released["state"] == "released"
    assert (estimated["state"], estimated["basis"], estimated["output_tokens"]) == ("settled", "estimated", 4)


async def test_an_own_mistake_with_stream_options_is_not_retried(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: json_answer({"error": {"message": "stream_options is wrong"}}, 400)

    reply = await proxy.chat(limiter, stream=True, stream_options={"include_usage": True})

    assert "x-should-retry" not in reply.headers


@pytest.mark.parametrize("size", [1, 3, 50])
async def test_an_upstream_may_split_its_events_anywhere(
    proxy: Proxied, upstream: StandIn, size: int
) -> None:
    limiter = proxy.limiter(upstream)
    whole = delta("a") + delta("b") + usage_chunk() + DONE

    upstream.handler = lambda _: Answer(
        headers=EVENTS,
        chunks=pieces(*(whole[at : at + size] for at in range(0, len(whole), size))),
    )
    reply = await proxy.chat(limiter, stream=True)

    assert reply.body == delta("a") + delta("b") + DONE
    assert (await proxy.row())["cost_nanousd"] == COST_NANOUSD


async def test_a_stream_that_is_compressed_all_the_same_is_metered_and_readable(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    coded = gzip.compress(delta("a") + usage_chunk() + DONE)
    upstream.handler = lambda _: Answer(
        headers=[*EVENTS, ("content-encoding", "gzip")], chunks=pieces(coded[:20], coded[20:])
    )

    reply = await proxy.chat(limiter, stream=True)

    assert upstream.received[0].header("accept-encoding") == "identity"
    assert "content-encoding" not in reply.headers
    assert reply.body == delta("a") + DONE
    assert (await proxy.row())["cost_nanousd"] == COST_NANOUSD


@pytest.mark.parametrize("stalls", [False, True])
async def test_a_compressed_stream_that_turns_invalid_ends_as_broken(
    proxy: Proxied, upstream: StandIn, stalls: bool
) -> None:
    limiter = proxy.limiter(upstream)
    good = zlib.compressobj(wbits=31)
    first = good.compress(delta("one two three")) + good.flush(zlib.Z_SYNC_FLUSH)
    may_go_on = asyncio.Event()

    async def spoilt() -> AsyncIterator[bytes]:
        yield first
        await may_go_on.wait()
        yield b"\xff" * 64
        if stalls:
            await asyncio.Event().wait()

    coded = [*EVENTS, ("content-encoding", "gzip")]
    upstream.handler = lambda _: Answer(headers=coded, chunks=spoilt())

    async with proxy.connected() as client:
        await client.send(chat(limiter.code, stream=True))
        assert (await client.head()).status == 200
        assert await client.chunk() == delta("one two three")
        may_go_on.set()
        assert await client.reader.read() == b"", "no chunk says that this was all"

    row = await proxy.row()
    assert (row["state"], row["basis"]) == ("settled", "estimated")
    assert row["cost_nanousd"] > 0
    assert (await proxy.chat(proxy.limiter(upstream), stream=True)).status == 200, "the proxy goes on"


async def test_a_compressed_stream_that_is_invalid_within_one_read_ends_as_broken(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    good = zlib.compressobj(wbits=31)
    first = good.compress(delta("one")) + good.flush(zlib.Z_SYNC_FLUSH)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
    framed = head + b"transfer-encoding: chunked\r\n\r\n" + chunked(first + b"\xff" * 64)
    upstream.handler = lambda _: Answer(raw=framed)

    reply = await proxy.chat(limiter, stream=True)

    assert (reply.status, reply.is_whole) == (200, False)
    assert (await proxy.row())["state"] == "settled"


async def test_a_buffered_answer_that_is_compressed_all_the_same_is_metered_and_readable(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    plain = json_answer().body
    upstream.handler = lambda _: Answer(
        headers=[("content-type", "application/json"), ("content-encoding", "gzip")],
        body=gzip.compress(plain),
    )

    reply = await proxy.chat(limiter)

    assert reply.body == plain
    assert "content-encoding" not in reply.headers
    assert (await proxy.row())["cost_nanousd"] == COST_NANOUSD


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_that_nobody_here_can_read_is_charged_at_least_at_its_hold(
    proxy: Proxied, upstream: StandIn, streamed: bool
) -> None:
    limiter = proxy.limiter(upstream)
    kind = EVENTS[0] if streamed else ("content-type", "application/json")
    upstream.handler = lambda _: Answer(headers=[kind, ("content-encoding", "compress")], body=b"\x1f\x9d\0")

    reply = await proxy.chat(limiter, stream=streamed)

    assert (reply.body, reply.headers["content-encoding"]) == (b"\x1f\x9d\0", "compress")
    row = await proxy.row()
    assert (row["basis"], row["cost_nanousd"]) == ("estimated", row["hold_nanousd"])


async def test_a_json_error_instead_of_a_stream_reaches_the_client_and_costs_nothing(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: json_answer({"error": {"message": "No."}}, 429)

    reply = await proxy.chat(limiter, stream=True)

    assert (reply.status, reply.body) == (429, b'{"error": {"message": "No."}}')
    assert "x-should-retry" not in reply.headers, "an upstream's own 429 passes untouched"
    assert (await proxy.row())["state"] == "released"


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/json", "text/plain"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_of_a_wrong_type_is_read_all_the_same(
    proxy: Proxied, upstream: StandIn, streamed: bool, kind: str
) -> None:
    limiter = proxy.limiter(upstream)
    whole = json_answer().body
    body = delta("a") + usage_chunk() + DONE if streamed else whole
    upstream.handler = lambda _: Answer(headers=[("content-type", kind)], body=body)

    reply = await proxy.chat(limiter, stream=streamed)

    assert reply.body == (delta("a") + DONE if streamed else whole)
    row = await proxy.row()
    assert (row["basis"], row["cost_nanousd"]) == ("reported", COST_NANOUSD)


async def test_an_error_event_alone_costs_nothing_and_is_no_output(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    error = event({"error": {"message": "The server had an error", "type": "server_error"}})
    upstream.handler = lambda _: stream(error, DONE)

    reply = await proxy.chat(limiter, stream=True)

    assert reply.body == error + DONE
    row = await proxy.row()
    assert (row["state"], row["output_tokens"]) == ("released", 0)


async def test_a_stream_with_a_length_is_sent_in_chunks_where_something_is_withheld(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(headers=EVENTS, body=delta("a") + usage_chunk() + DONE)

    reply = await proxy.chat(limiter, stream=True)

    assert reply.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in reply.headers
    assert reply.body == delta("a") + DONE


async def test_a_stream_until_the_connection_closes_has_an_end_for_the_client(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    upstream.handler = lambda _: Answer(raw=head + delta("a") + usage_chunk() + DONE, hang_up=True)

    reply = await proxy.chat(limiter, stream=True)

    assert reply.is_whole
    assert reply.body == delta("a") + DONE
