"""A budget from its first call to the next window, through a running proxy."""

import asyncio
import json

import pytest

from metering.verify import verify
from scripts.standin import Answer, Received, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import COST_NANOUSD, chat, json_answer, request


async def test_a_call_is_held_forwarded_charged_and_shown(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    held: list[int] = []

    def answer(_: Received) -> Answer:
        held.append(proxy.window(limiter).held_nanousd)
        return json_answer()

    upstream.handler = answer
    reply = await proxy.chat(limiter)

    assert reply.status == 200
    assert held[0] > 0, "the hold is durable before the call leaves"
    assert reply.headers["x-request-cost"] == "0.0002"
    assert reply.headers["x-budget-limit"] == "1"
    assert reply.headers["x-budget-remaining"] == "0.9998"
    assert reply.headers["x-budget-reset"] == "2026-11-25T00:00:00Z"
    row = await proxy.row()
    assert (row["state"], row["basis"], row["cost_nanousd"]) == ("settled", "reported", COST_NANOUSD)
    assert (row["input_tokens"], row["output_tokens"], row["status"]) == (10, 5, 200)
    assert (row["user"][:4], row["model"], row["endpoint"]) == ("key-", "plain", "chat/completions")
    window = proxy.window(limiter)
    assert (window.spent_nanousd, window.held_nanousd, window.requests, window.tokens) == (
        COST_NANOUSD,
        0,
        1,
        15,
    )
    assert verify(proxy.database) == []


async def test_a_used_up_budget_refuses_with_exactly_this_answer_until_the_next_window(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream, "0.0001", period_type="hour")
    assert (await proxy.chat(limiter)).status == 200
    await proxy.at_rest(limiter)
    proxy.at("2026-11-24T08:59:59.5Z")

    reply = await proxy.chat(limiter)

    assert reply.status == 429
    assert reply.body == (
        b'{"error":{"message":"Budget limit exceeded: $0.0002/$0.0001 per hour. Current usage: 200.0%",'
        b'"type":"429","code":"budget_exceeded","param":null}}'
    )
    assert reply.headers["retry-after"] == "1"
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"].startswith("req_")
    assert len(upstream.received) == 1

    proxy.at("2026-11-24T09:00:00Z")

    assert (await proxy.chat(limiter)).status == 200
    assert proxy.window(limiter).requests == 1
    assert len(upstream.received) == 2


async def test_a_call_is_charged_to_the_window_of_its_admission(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream, period_type="hour")

    def answer(_: Received) -> Answer:
        proxy.at("2026-11-24T09:10:00Z")
        return json_answer()

    upstream.handler = answer
    assert (await proxy.chat(limiter)).status == 200

    await proxy.at_rest(limiter)
    assert proxy.window(limiter).requests == 0
    assert (await proxy.row())["cost_nanousd"] == COST_NANOUSD
    proxy.at("2026-11-24T08:59:00Z")
    assert proxy.window(limiter).spent_nanousd == COST_NANOUSD


async def test_edits_are_in_force_on_the_next_request(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream)
    other = proxy.limiter(upstream)
    assert (await proxy.chat(limiter)).status == 200
    await proxy.at_rest(limiter)

    proxy.limiters.update(limiter.id, budget_limit=0)
    assert (await proxy.chat(limiter)).status == 429
    proxy.limiters.update(limiter.id, budget_limit=1)
    assert (await proxy.chat(limiter)).status == 200
    proxy.limiters.update(limiter.id, is_active=False)
    inactive = await proxy.chat(limiter)
    assert (inactive.status, inactive.code) == (403, "limiter_inactive")
    free = await proxy.send(request("GET", f"/v1/{limiter.code}/models"))
    assert (free.status, free.code) == (403, "limiter_inactive")
    proxy.limiters.update(limiter.id, is_active=True)
    assert (await proxy.chat(limiter)).status == 200
    rotated = proxy.limiters.rotate_code(limiter.id)
    gone = await proxy.chat(limiter)
    assert (gone.status, gone.code) == (404, "limiter_not_found")
    assert (await proxy.chat(rotated)).status == 200
    proxy.limiters.delete(limiter.id)
    assert (await proxy.chat(rotated)).status == 404

    await proxy.at_rest(other)
    assert proxy.window(other).requests == 0, "another limiter is not touched"
    assert len(upstream.received) == 4


async def test_another_base_url_is_in_force_on_the_next_request(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter("http://127.0.0.1:1")
    async with proxy.connected() as client:
        await client.send(chat(limiter.code))
        assert (await client.reply()).status == 502
    proxy.limiters.update(limiter.id, base_url=upstream.url)

    assert (await proxy.chat(limiter)).status == 200


async def test_another_period_is_not_a_fresh_budget(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream, "0.0001", period_type="day")
    assert (await proxy.chat(limiter)).status == 200
    await proxy.at_rest(limiter)

    proxy.limiters.update(limiter.id, period_type="month")

    reply = await proxy.chat(limiter)
    assert (reply.status, reply.code) == (429, "budget_exceeded")
    assert "per month" in reply.error["message"]


async def test_parallel_calls_of_a_new_limiter_count_each_other_in_strict(
    proxy: Proxied, upstream: StandIn
) -> None:
    # A call that costs a fiftieth of a cent could cost some cents.
    limiter = proxy.limiter(upstream, "0.06", enforcement="strict")

    async def slowly(_: Received) -> Answer:
        await asyncio.sleep(0.05)
        return json_answer()

    upstream.handler = slowly
    replies = await asyncio.gather(*[proxy.chat(limiter, max_tokens=16, n=1) for _ in range(8)])

    statuses = sorted(reply.status for reply in replies)
    window = await proxy.at_rest(limiter)
    assert statuses.count(200) == len(upstream.received) >= 1
    assert statuses.count(429) == 8 - statuses.count(200) >= 1
    assert window.spent_nanousd == statuses.count(200) * COST_NANOUSD
    assert verify(proxy.database) == []


async def test_parallel_calls_with_room_for_one_admit_as_many_as_the_holds_allow(
    proxy: Proxied, upstream: StandIn
) -> None:
    # The hold of one call is about a cent: 512 tokens expected.
    limiter = proxy.limiter(upstream, "0.005")

    async def slowly(_: Received) -> Answer:
        await asyncio.sleep(0.05)
        return json_answer()

    upstream.handler = slowly
    replies = await asyncio.gather(*[proxy.chat(limiter) for _ in range(6)])

    assert sorted(reply.status for reply in replies) == [200, 429, 429, 429, 429, 429]
    assert len(upstream.received) == 1


async def test_a_missing_output_limit_does_not_hold_the_whole_budget_in_soft(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream, 1)

    async def slowly(_: Received) -> Answer:
        await asyncio.sleep(0.05)
        return json_answer()

    upstream.handler = slowly
    replies = await asyncio.gather(*[proxy.chat(limiter) for _ in range(20)])

    assert {reply.status for reply in replies} == {200}


async def test_observe_admits_and_marks_what_soft_would_have_refused(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream, "0.0001", enforcement="observe")

    for _ in range(3):
        assert (await proxy.chat(limiter)).status == 200
        await proxy.at_rest(limiter)

    assert [row["over_budget"] for row in proxy.rows()] == [0, 1, 1]
    unpriced = await proxy.chat(limiter, model="unheard-of")
    assert (unpriced.status, unpriced.code) == (400, "model_not_priced")


async def test_a_price_of_zero_is_free_and_a_missing_price_is_not(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream, 0)

    assert (await proxy.chat(limiter)).status == 429
    assert (await proxy.chat(limiter, model="gift")).status == 200
    unpriced = await proxy.chat(limiter, model="unheard-of")
    assert (unpriced.status, unpriced.code) == (400, "model_not_priced")
    assert "unheard-of" in unpriced.error["message"]


async def test_an_unpriced_model_is_charged_at_the_fallback_where_that_is_allowed(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream, unpriced="fallback")
    upstream.handler = lambda _: json_answer(
        {"model": "unheard-of", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
    )

    assert (await proxy.chat(limiter, model="unheard-of")).status == 200

    row = await proxy.row()
    assert (row["basis"], row["cost_nanousd"]) == ("fallback", 10 * 30_000 + 5 * 180_000)


async def test_a_limiter_that_hides_amounts_tells_none(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream, "0.0001", hide_amounts=True)

    first = await proxy.chat(limiter)
    await proxy.at_rest(limiter)
    second = await proxy.chat(limiter)

    assert "x-budget-limit" not in first.headers
    assert "x-budget-remaining" not in first.headers
    assert "x-request-cost" not in first.headers
    assert first.headers["x-budget-reset"] == "2026-11-25T00:00:00Z"
    assert second.status == 429
    assert "$" not in second.error["message"]


async def test_refusals_are_counted_by_their_code(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream, 0)
    await proxy.chat(limiter)
    await proxy.chat(limiter, model="unheard-of")
    await proxy.chat(limiter, model=5)
    await proxy.stop()

    assert proxy.refusals() == {"budget_exceeded": 1, "model_not_priced": 1, "invalid_request": 1}
    unpriced = [tuple(row) for row in proxy.query("select model, count from unpriced_models")]
    assert unpriced == [("unheard-of", 1)]


async def test_strict_lowers_the_output_limit_to_what_is_left_and_says_so(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream, "0.06", enforcement="strict")

    reply = await proxy.chat(limiter, max_tokens=5_000)

    sent = json.loads(upstream.received[0].body)
    row = await proxy.row()
    assert reply.status == 200
    assert reply.headers["x-budget-clamped"] == str(sent["max_tokens"])
    assert 16 <= sent["max_tokens"] < 3_000
    assert row["hold_nanousd"] <= 60_000_000
    assert row["cost_nanousd"] == COST_NANOUSD


async def test_strict_sets_an_output_limit_where_there_is_none(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream, "0.06", enforcement="strict")

    await proxy.chat(limiter)

    sent = upstream.received[0].body
    assert b'"max_tokens":' in sent, "what everybody but OpenAI understands"
    assert sent.startswith(b'{"model": "plain", "messages": [{"role": "user", "content": "Hello"}]')


async def test_strict_never_raises_an_output_limit(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream, 1, enforcement="strict")

    reply = await proxy.chat(limiter, max_tokens=20)

    assert "x-budget-clamped" not in reply.headers
    assert json.loads(upstream.received[0].body)["max_tokens"] == 20


async def test_strict_refuses_what_does_not_fit_at_all_and_says_what_it_could_cost(
    proxy: Proxied, upstream: StandIn
) -> None:
    limiter = proxy.limiter(upstream, "0.0005", enforcement="strict")

    reply = await proxy.chat(limiter, max_tokens=5_000)

    assert (reply.status, reply.code) == (429, "budget_exceeded")
    assert "Budget limit exceeded: $0.00/$0.0005 per day. Current usage: 0.0%" in reply.error["message"]
    assert "This request could cost up to $0.1" in reply.error["message"]
    assert upstream.received == []


async def test_strict_refuses_a_call_that_has_no_bound(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(upstream, 100, enforcement="strict")

    reply = await proxy.chat(limiter, models=["plain", "thinker"])

    assert (reply.status, reply.code) == (403, "endpoint_not_metered")
    assert "highest possible cost" in reply.error["message"]
    assert upstream.received == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_hidden_fields_of_a_body_stay_byte_for_byte(
    proxy: Proxied, upstream: StandIn, streamed: bool
) -> None:
    limiter = proxy.limiter(upstream)
    body = b'{ "model" : "plain", "x":1.50,  "messages":[], "stream":%s }' % (
        b"true" if streamed else b"false"
    )

    await proxy.send(request("POST", f"/v1/{limiter.code}/chat/completions", body=body))

    added = b',"stream_options":{"include_usage":true}' if streamed else b""
    assert upstream.received[0].body == body.rstrip(b"}") + added + b"}"


async def test_strict_counts_the_input_where_its_bytes_do_not_fit(proxy: Proxied, upstream: StandIn) -> None:
    # 10,000 bytes could be as many tokens, for ten cents; they are about two thousand.
    limiter = proxy.limiter(upstream, "0.05", enforcement="strict")
    messages = [{"role": "user", "content": "Hello world! " * 800}]

    counted = await proxy.chat(limiter, model="gpt-4o", messages=messages, max_tokens=16)
    by_bytes = await proxy.chat(limiter, model="plain", messages=messages, max_tokens=16)

    assert (counted.status, by_bytes.status) == (200, 429)
    assert "x-budget-clamped" not in counted.headers
    assert "could cost up to $0.1" in by_bytes.error["message"]
