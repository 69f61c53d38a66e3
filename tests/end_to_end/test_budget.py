"""A budget that is used up refuses the next call, once, and an edit counts on the next request."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest
from openai import APIStatusError, OpenAI, PermissionDeniedError, RateLimitError

from scripts.standin import StandIn
from tests.end_to_end.stack import Admin, Stack, decimal_json

ASK: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


class Counted(httpx.Client):
    """An HTTP client that counts what the SDK really sends."""

    sent = 0

    def send(self, *arguments: Any, **named: Any) -> httpx.Response:
        self.sent += 1
        return super().send(*arguments, **named)


def client_of(stack: Stack, limiter: Mapping[str, Any], http: httpx.Client | None = None) -> OpenAI:
    return OpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter), http_client=http)


def test_calls_pass_until_the_budget_is_gone_then_one_request_raises_rate_limit_error(
    stack: Stack, admin: Admin, upstream: StandIn
) -> None:
    # Each call costs $0.000095, so the third crosses the line and the fourth is refused.
    limiter = admin.create(upstream.url, "0.00028", period_type="day")
    http = Counted()
    with client_of(stack, limiter, http) as client:
        passed = 0
        with pytest.raises(RateLimitError) as refusal:
            for _ in range(10):
                client.chat.completions.create(**ASK)
                stack.at_rest(limiter["id"], admin)
                passed += 1
    assert passed == 3
    assert http.sent == 4
    assert len(upstream.received) == 3
    answer = refusal.value.response
    assert answer.json() == {
        "error": {
            "message": "Budget limit exceeded: $0.0003/$0.0003 per day. Current usage: 101.8%",
            "type": "429",
            "code": "budget_exceeded",
            "param": None,
        }
    }
    assert answer.headers["x-should-retry"] == "false"
    assert 0 < int(answer.headers["retry-after"]) <= 86400
    assert answer.headers["x-request-id"]
    assert refusal.value.code == "budget_exceeded"


def test_what_is_shown_is_what_is_enforced_and_both_are_the_sum_of_the_rows(
    stack: Stack, admin: Admin, upstream: StandIn
) -> None:
    limiter = admin.create(upstream.url, "0.0002", period_type="year")
    with client_of(stack, limiter) as client:
        headers = []
        for _ in range(3):
            headers.append(client.chat.completions.with_raw_response.create(**ASK).headers)
            stats = stack.at_rest(limiter["id"], admin)
        with pytest.raises(RateLimitError) as refusal:
            client.chat.completions.create(**ASK)

    (row,) = stack.rows(
        "select sum(cost_nanousd) cost from requests where limiter = (select key from limiters where id = ?)",
        limiter["id"],
    )
    spent = Decimal(row["cost"]) / 10**9
    totals = next(
        one
        for one in decimal_json(admin.call("GET", "/api/stats"))["limiters"]
        if one["limiter_id"] == limiter["id"]
    )
    assert spent == stats["current_spend"] == totals["total_cost"] == Decimal("0.000285")
    assert spent == sum(call["cost"] for call in admin.usage(limiter["id"]))
    assert spent == sum(Decimal(one["x-request-cost"]) for one in headers)
    assert [Decimal(one["x-budget-remaining"]) for one in headers] == [
        Decimal("0.000105"),
        Decimal("0.00001"),
        stats["remaining_budget"],
    ]
    assert stats["usage_percentage"] == Decimal("142.5")
    assert "$0.0003/$0.0002 per year. Current usage: 142.5%" in refusal.value.message


def test_a_raised_budget_is_in_force_on_the_next_request(
    stack: Stack, admin: Admin, upstream: StandIn
) -> None:
    limiter = admin.create(upstream.url, "0", period_type="day")
    with client_of(stack, limiter) as client:
        with pytest.raises(RateLimitError):
            client.chat.completions.create(**ASK)
        admin.update(limiter["id"], budget_limit=1)
        assert client.chat.completions.create(**ASK).choices


def test_a_limiter_switched_off_refuses_and_switched_on_passes_again(
    stack: Stack, admin: Admin, upstream: StandIn
) -> None:
    limiter = admin.create(upstream.url)
    with client_of(stack, limiter) as client:
        admin.update(limiter["id"], is_active=False)
        with pytest.raises(PermissionDeniedError) as refusal:
            client.chat.completions.create(**ASK)
        assert refusal.value.code == "limiter_inactive"
        admin.update(limiter["id"], is_active=True)
        assert client.chat.completions.create(**ASK).choices


def test_a_rotated_code_locks_out_the_old_one_and_keeps_the_figures(
    stack: Stack, admin: Admin, upstream: StandIn
) -> None:
    limiter = admin.create(upstream.url)
    with client_of(stack, limiter) as client:
        client.chat.completions.create(**ASK)
        before = stack.at_rest(limiter["id"], admin)
        rotated = admin.call("POST", f"/api/limiters/{limiter['id']}/rotate-code").raise_for_status().json()
        with pytest.raises(APIStatusError) as refusal:
            client.chat.completions.create(**ASK)
    assert (refusal.value.status_code, refusal.value.code) == (404, "limiter_not_found")
    assert admin.stats(limiter["id"])["current_spend"] == before["current_spend"] > 0
    with client_of(stack, rotated) as client:
        assert client.chat.completions.create(**ASK).choices


def test_one_limiter_never_touches_anothers_figures(stack: Stack, admin: Admin, upstream: StandIn) -> None:
    one, other = admin.create(upstream.url), admin.create(upstream.url)
    with client_of(stack, one) as client:
        client.chat.completions.create(**ASK)
    assert stack.at_rest(one["id"], admin)["current_spend"] > 0
    assert admin.stats(other["id"])["current_spend"] == 0


def test_a_model_without_a_price_is_refused_before_anything_goes_upstream(
    stack: Stack, admin: Admin, upstream: StandIn
) -> None:
    limiter = admin.create(upstream.url)
    with client_of(stack, limiter) as client, pytest.raises(APIStatusError) as refusal:
        client.chat.completions.create(**(ASK | {"model": "gpt-from-the-future"}))
    assert (refusal.value.status_code, refusal.value.code) == (400, "model_not_priced")
    assert "gpt-from-the-future" in refusal.value.message
    assert upstream.received == []


@pytest.mark.parametrize(
    "path",
    ["batches", "fine_tuning/jobs", "videos", "containers", "realtime/client_secrets", "no/such/thing"],
)
def test_what_cannot_be_metered_is_refused(stack: Stack, admin: Admin, upstream: StandIn, path: str) -> None:
    limiter = admin.create(upstream.url)
    answer = httpx.post(f"{stack.base_url(limiter)}/{path}", json={"model": "gpt-4o"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "endpoint_not_metered")
    assert upstream.received == []
