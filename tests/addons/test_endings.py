"""However a call ends, its hold is resolved once, and charged as it should be."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from metering.verify import verify
from scripts.standin import Answer, Received, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import (
    COST_NANOUSD,
    DONE,
    EVENTS,
    chat,
    delta,
    event,
    json_answer,
    request,
    stream,
    usage_chunk,
)

FIVE_WORDS = "one two three four five"
WORDS_TOKENS = 6
"""And one for the end of the answer."""


async def never(_: Received) -> Answer:
    """An upstream that has the request and does not answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def wait_for_ever(*first: bytes) -> AsyncIterator[bytes]:
    """A stream that stalls."""
    for part in first:
        yield part
    await asyncio.Event().wait()


def stalled(*first: bytes) -> Answer:
    """A streamed answer that stalls."""
    return Answer(headers=EVENTS, chunks=wait_for_ever(*first))


async def leave_after(
    proxy: Proxied, data: bytes, is_time: Callable[[], bool], *, read: bool = False
) -> None:
    """Send, wait until it is time, and hang up."""
    async with proxy.connected() as client:
        await client.send(data)
        if read:
            await client.head()
            await client.chunk()
        await proxy.until(is_time)
    await proxy.until(proxy.is_at_rest)


async def known(proxy: Proxied, upstream: StandIn, limiter: object) -> None:
    """Let the upstream have taken the client's key once."""
    before, upstream.handler = upstream.handler, lambda _: json_answer()
    assert (await proxy.chat(limiter)).status == 200  # type: ignore[arg-type]
    upstream.handler = before
    upstream.received.clear()
    await proxy.until(proxy.is_at_rest)


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_usage_object_is_charged_whatever_the_status(
    proxy: Proxied, upstream: StandIn, status: int
) -> None:
    limiter = proxy.limiter(upstream)
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    upstream.handler = lambda _: json_answer({"error": {"message": "half done"}, "usage": usage}, status)

    await proxy.chat(limiter)

    assert (await proxy.row())["cost_nanousd"] == COST_NANOUSD


async def test_an_explicit_zero_is_a_zero(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    upstream.handler = lambda _: json_answer({"model": "plain", "choices": [], "usage": zero})

    await proxy.chat(limiter)

    row = await proxy.row()
    assert (row["state"], row["basis"], row["cost_nanousd"]) == ("settled", "reported", 0)


async def test_an_answer_without_usage_is_counted(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    message = {"role": "assistant", "content": FIVE_WORDS}
    upstream.handler = lambda _: json_answer(
        {"model": "plain", "choices": [{"index": 0, "message": message}]}
    )

    assert (await proxy.chat(limiter)).status == 200

    row = await proxy.row()
    assert (row["state"], row["basis"], row["output_tokens"]) == ("settled", "estimated", WORDS_TOKENS)
    assert row["input_tokens"] == 8, "three for the message, its role and text, three for the answer"
    assert row["cost_nanousd"] == 8 * 10_000 + WORDS_TOKENS * 20_000


async def test_an_answer_without_usage_goes_by_the_model_that_it_names(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream, unpriced="fallback")
    message = {"role": "assistant", "content": FIVE_WORDS}
    upstream.handler = lambda _: json_answer(
        {"model": "plain", "choices": [{"index": 0, "message": message}]}
    )

    assert (await proxy.chat(limiter, model="my-deployment")).status == 200

    row = await proxy.row()
    assert (row["basis"], row["cost_nanousd"]) == ("estimated", 8 * 10_000 + WORDS_TOKENS * 20_000)
    assert row["hold_nanousd"] > row["cost_nanousd"], "the hold was reckoned for a model that nobody knows"


@pytest.mark.parametrize(
    "fields",
    [{"prompt": {"id": "pmpt_1"}}, {"tools": [{"type": "web_search"}]}],
    ids=["hidden input", "hosted tools"],
)
async def test_an_answer_without_usage_is_charged_at_least_at_the_hold_where_most_is_hidden(
    proxy: Proxied, upstream: StandIn, fields: dict[str, object]
) -> None:
    limiter = proxy.limiter(upstream)
    said = {"type": "message", "content": [{"type": "output_text", "text": FIVE_WORDS}]}
    upstream.handler = lambda _: json_answer({"model": "plain", "object": "response", "output": [said]})
    body = json.dumps({"model": "plain", "input": "Hello", **fields}).encode()

    await proxy.send(
        request("POST", f"/v1/{limiter.code}/responses", "Content-Type: application/json", body=body)
    )

    row = await proxy.row()
    assert (row["basis"], row["cost_nanousd"]) == ("estimated", row["hold_nanousd"])


@pytest.mark.parametrize("status", [301, 400, 401, 404, 429, 500, 503])
async def test_an_error_without_usage_costs_nothing(proxy: Proxied, upstream: StandIn, status: int) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: json_answer({"error": {"message": "No."}}, status)

    reply = await proxy.chat(limiter)

    assert (reply.status, reply.body) == (status, b'{"error": {"message": "No."}}')
    assert (await proxy.row())["state"] == "released"
    assert proxy.window(limiter).requests == 0


async def test_an_upstream_that_cannot_be_reached_costs_nothing(proxy: Proxied) -> None:
    limiter = proxy.limiter("http://127.0.0.1:1")

    reply = await proxy.chat(limiter)

    assert (reply.status, reply.code) == (502, "upstream_unreachable")
    assert reply.error["type"] == "server_error"
    assert (await proxy.row())["state"] == "released"


async def test_a_connection_can_be_used_again_after_an_upstream_was_down(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    port = upstream.port
    await upstream.stop()

    down = await proxy.chat(limiter)
    await upstream.start(port)
    up = await proxy.chat(limiter)

    assert (down.status, down.headers["connection"]) == (502, "close")
    assert up.status == 200


CUTS = {
    "without a byte": b"",
    "in the status line": b"HTTP/1.1 20",
    "in the headers": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Le",
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
async def test_an_upstream_that_breaks_off_before_its_answer_costs_nothing(
    proxy: Proxied, upstream: StandIn, cut: bytes
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(raw=cut, hang_up=True)

    reply = await proxy.chat(limiter)

    assert (reply.status, reply.code) == (502, "upstream_unreachable")
    assert (await proxy.row())["state"] == "released"


async def test_a_buffered_answer_that_breaks_off_is_charged_at_least_at_its_hold(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
    upstream.handler = lambda _: Answer(raw=head + b'{"choices": [', hang_up=True)

    reply = await proxy.chat(limiter)

    assert reply.status == 502
    row = await proxy.row()
    assert (row["state"], row["basis"], row["cost_nanousd"]) == ("settled", "estimated", row["hold_nanousd"])


async def test_a_stream_that_breaks_off_before_its_first_output_costs_nothing(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: stream(event({"id": "1", "model": "plain", "choices": []}), hang_up=True)

    reply = await proxy.chat(limiter, stream=True)

    assert not reply.is_whole
    assert (await proxy.row())["state"] == "released"


async def test_a_stream_that_breaks_off_is_charged_for_what_was_streamed(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: stream(delta(FIVE_WORDS), hang_up=True)

    reply = await proxy.chat(limiter, stream=True)

    assert not reply.is_whole
    assert reply.body == delta(FIVE_WORDS)
    row = await proxy.row()
    assert (row["basis"], row["input_tokens"], row["output_tokens"]) == ("estimated", 8, WORDS_TOKENS)


async def test_a_stream_without_usage_is_charged_for_what_was_streamed(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: stream(delta("one two three"), delta(" four five"))

    reply = await proxy.chat(limiter, stream=True)

    assert reply.is_whole
    row = await proxy.row()
    assert (row["basis"], row["output_tokens"]) == ("estimated", WORDS_TOKENS)


async def test_what_is_too_long_to_keep_of_a_stream_is_charged_in_proportion(
    proxy: Proxied, upstream: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = proxy.limiter(upstream)
    monkeypatch.setattr("metering.reading.stream.KEPT_BYTES_MAX", 100 * len(delta("word ")))
    upstream.handler = lambda _: stream(*[delta("word ")] * 1_000)

    await proxy.chat(limiter, stream=True)

    row = await proxy.row()
    assert row["basis"] == "estimated"
    assert 1_000 <= row["output_tokens"] <= 1_100


async def test_tool_arguments_reasoning_and_refusals_are_output_too(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    call = {"index": 0, "function": {"name": "f", "arguments": "one two three four five"}}

    def part(**fields: object) -> bytes:
        return event({"model": "plain", "choices": [{"index": 0, "delta": fields}]})

    upstream.handler = lambda _: stream(
        part(tool_calls=[call]),
        part(reasoning_content="one two three four five"),
        part(refusal="one two three four five"),
    )
    await proxy.chat(limiter, stream=True)

    assert (await proxy.row())["output_tokens"] >= 15


async def test_a_reasoning_model_that_is_cut_off_is_charged_at_least_at_its_hold(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: stream(delta("one", model="thinker"), hang_up=True)

    await proxy.chat(limiter, model="thinker", stream=True)

    row = await proxy.row()
    assert (row["basis"], row["cost_nanousd"]) == ("estimated", row["hold_nanousd"])
    assert row["hold_nanousd"] > 2_048 * 20_000


async def test_a_client_that_leaves_in_a_stream_pays_for_what_was_streamed(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: stalled(delta(FIVE_WORDS))

    await leave_after(proxy, chat(limiter.code, stream=True), lambda: True, read=True)

    row = await proxy.row()
    assert (row["state"], row["basis"], row["output_tokens"]) == ("settled", "estimated", WORDS_TOKENS)
    await proxy.until(lambda: upstream.disconnects == 1)


async def test_a_client_that_leaves_after_the_usage_pays_what_was_reported(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: stalled(delta("a"), usage_chunk())

    await leave_after(
        proxy,
        chat(limiter.code, stream=True),
        lambda: bool(proxy.rows("state")) and proxy.is_at_rest(),
        read=True,
    )

    row = await proxy.row()
    assert (row["basis"], row["cost_nanousd"]) == ("reported", COST_NANOUSD)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_known_client_that_leaves_before_the_answer_pays_the_hold(
    proxy: Proxied, upstream: StandIn, streamed: bool
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = never
    await known(proxy, upstream, limiter)

    await leave_after(proxy, chat(limiter.code, stream=streamed), lambda: bool(upstream.received))

    row = proxy.rows()[-1]
    assert (row["state"], row["basis"], row["cost_nanousd"]) == ("settled", "estimated", row["hold_nanousd"])


async def test_a_client_stays_known_when_the_proxy_starts_again(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = never
    await known(proxy, upstream, limiter)
    await proxy.stop()
    await proxy.start()

    await leave_after(proxy, chat(limiter.code), lambda: bool(upstream.received))

    row = proxy.rows()[-1]
    assert (row["state"], row["basis"], row["cost_nanousd"]) == ("settled", "estimated", row["hold_nanousd"])
    (kept,) = proxy.query("select * from known_keys")
    assert (kept["limiter"], kept["key"][:4], len(kept["key"])) == (limiter.key, "key-", 16)


async def test_a_client_is_known_to_one_limiter_alone(proxy: Proxied, upstream: StandIn) -> None:
    await known(proxy, upstream, proxy.limiter(upstream))
    other = proxy.limiter(upstream)
    upstream.handler = never

    await leave_after(proxy, chat(other.code), lambda: bool(upstream.received))

    assert proxy.rows()[-1]["state"] == "released"


async def test_a_stranger_that_leaves_before_the_answer_does_not_burn_the_budget(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = never
    await known(proxy, upstream, limiter)

    await leave_after(
        proxy,
        chat(limiter.code).replace(b"sk-client", b"sk-another"),
        lambda: bool(upstream.received),
    )

    assert proxy.rows()[-1]["state"] == "released"


async def test_a_client_that_leaves_before_its_body_is_whole_holds_nothing(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)

    async with proxy.connected() as client:
        await client.send(chat(limiter.code)[:-10])
        await proxy.until(lambda: any(peer.requests for _, peer in proxy.run.peers))
    await proxy.until(lambda: len(proxy.run.peers) == 0)

    assert proxy.rows() == []
    assert upstream.received == []


async def test_an_upstream_that_is_silent_too_long_is_cut_off_and_known_clients_pay_the_hold(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = never
    await known(proxy, upstream, limiter)

    async with proxy.connected() as client:
        await client.send(chat(limiter.code))
        await proxy.until(lambda: bool(upstream.received))
        # The request is on its way: ten minutes later the sweep finds it.
        later_s = next(peer for _, peer in proxy.run.peers if peer.is_sent).since_s + 601
        proxy.run.sweep(later_s)
        reply = await client.reply()

    assert (reply.status, reply.code) == (504, "upstream_timeout")
    await proxy.until(proxy.is_at_rest)
    row = proxy.rows()[-1]
    assert (row["state"], row["basis"], row["cost_nanousd"]) == ("settled", "estimated", row["hold_nanousd"])


@pytest.mark.parametrize(
    ("kind", "begun", "status"),
    [("application/json", b'{"id":"1","choices":[', 504), ("text/event-stream", delta(FIVE_WORDS), 200)],
)
async def test_an_answer_that_our_timer_cuts_is_not_whole_where_only_the_connections_end_would_end_it(
    proxy: Proxied, upstream: StandIn, kind: str, begun: bytes, status: int
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: Answer(
        raw=b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n\r\n" % kind.encode() + begun
    )

    async with proxy.connected() as client:
        await client.send(chat(limiter.code, stream=status == 200))
        await proxy.until(lambda: any(peer.call and peer.call.status for _, peer in proxy.run.peers))
        proxy.run.sweep(next(peer for _, peer in proxy.run.peers).since_s + 601)
        reply = await client.reply()

    assert (reply.status, reply.is_whole) == (status, status == 504)
    row = await proxy.row()
    assert (row["state"], row["basis"]) == ("settled", "estimated")
    assert row["cost_nanousd"] > 0


async def test_our_own_id_is_the_key_whatever_id_the_upstream_gives(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream)
    upstream.handler = lambda _: stream(delta("a"), usage_chunk(), DONE)

    for _ in range(3):
        await proxy.chat(limiter, stream=True)

    window = await proxy.at_rest(limiter)
    assert (window.requests, window.spent_nanousd) == (3, 3 * COST_NANOUSD)
    assert verify(proxy.database) == []


async def test_two_calls_on_one_connection_are_two_calls(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)

    async with proxy.connected() as client:
        await client.send(chat(limiter.code) + chat(limiter.code))
        first, second = await client.reply(), await client.reply()

    assert (first.status, second.status) == (200, 200)
    assert (await proxy.at_rest(limiter)).requests == 2
