"""The proxy's own answers: status, code, wording, headers."""

import json
import re
from pathlib import Path

import pytest

from addons import refusals
from addons.refusals import Refusal
from metering.clock import SECOND_US, parse_time
from metering.entries import Refused
from metering.periods import Period, Window

ROOT = Path(__file__).resolve().parents[2]
DAY = Window(parse_time("2026-11-24"), parse_time("2026-11-25"))


def refused(used: int, budget: int, **more: object) -> Refused:
    facts: dict[str, object] = {
        "period": Period.DAY,
        "window": DAY,
        "at_us": parse_time("2026-11-24T23:00:00Z"),
    }
    return Refused(
        code="budget_exceeded",
        used_nanousd=used,
        budget_nanousd=budget,
        **(facts | more),  # type: ignore[arg-type]
    )


def test_a_used_up_budget_says_exactly_this() -> None:
    answer = refusals.answer(refusals.budget_exceeded(refused(20_500_000_000, 20_000_000_000)))

    assert answer.status_code == 429
    assert answer.raw_content == (
        b'{"error":{"message":"Budget limit exceeded: $20.50/$20.00 per day. Current usage: 102.5%",'
        b'"type":"429","code":"budget_exceeded","param":null}}'
    )
    assert answer.headers["retry-after"] == "3600"
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("used", "budget", "text"),
    [
        (400_000, 300_000, "$0.0004/$0.0003 per day. Current usage: 133.3%"),
        (1_000_000_000, 1_000_000_000, "$1.00/$1.00 per day. Current usage: 100.0%"),
        (0, 0, "$0.00/$0.00 per day. Current usage: 100.0%"),
        (20, 10_000, "$0.00000002/$0.00001 per day. Current usage: 0.2%"),
    ],
)
def test_small_amounts_are_shown_with_as_many_places_as_they_need(used: int, budget: int, text: str) -> None:
    assert refusals.budget_exceeded(refused(used, budget)).message == f"Budget limit exceeded: {text}"


def test_strict_says_what_the_request_could_cost() -> None:
    message = refusals.budget_exceeded(
        refused(5_000_000_000, 10_000_000_000, mode="strict", hold_nanousd=6_200_000_000)
    ).message

    assert message == (
        "Budget limit exceeded: $5.00/$10.00 per day. Current usage: 50.0% This request could cost up to $6.20."
    )


def test_hidden_amounts_are_in_no_refusal() -> None:
    hidden = refusals.budget_exceeded(
        refused(5_000_000_000, 10_000_000_000, mode="strict", hold_nanousd=6_200_000_000), hide_amounts=True
    )

    assert "$" not in hidden.message
    assert "6.2" not in hidden.message


def test_the_last_moment_of_a_window_still_asks_to_wait_a_second() -> None:
    late = refusals.budget_exceeded(refused(2, 1, at_us=DAY.end_us - 1))
    earlier = refusals.budget_exceeded(refused(2, 1, at_us=DAY.end_us - SECOND_US - 1))

    assert (b"retry-after", b"1") in late.headers
    assert (b"retry-after", b"2") in earlier.headers


ALL = [
    (refusals.limiter_not_found(), 404, "limiter_not_found"),
    (refusals.limiter_inactive(), 403, "limiter_inactive"),
    (refusals.model_not_priced("gpt-9"), 400, "model_not_priced"),
    (refusals.endpoint_not_metered("batches"), 403, "endpoint_not_metered"),
    (refusals.unboundable("A reason."), 403, "endpoint_not_metered"),
    (refusals.websocket_not_supported(), 403, "websocket_not_supported"),
    (refusals.invalid_request("A reason."), 400, "invalid_request"),
    (refusals.invalid_path("A reason."), 400, "invalid_path"),
    (refusals.unsupported_encoding(), 415, "unsupported_encoding"),
    (refusals.body_too_large(64), 413, "body_too_large"),
    (refusals.headers_too_large(65_536), 431, "invalid_request"),
    (refusals.upstream_unreachable(), 502, "upstream_unreachable"),
    (refusals.upstream_timeout(), 504, "upstream_timeout"),
    (refusals.limiter_unavailable(), 503, "limiter_unavailable"),
    (refusals.not_found(), 404, "not_found"),
    (refusals.service_elsewhere("::1", 3000), 404, "not_found"),
]


@pytest.mark.parametrize(("refusal", "status", "code"), ALL)
def test_every_refusal_has_the_shape_of_openai_errors(refusal: Refusal, status: int, code: str) -> None:
    answer = refusals.answer(refusal)
    error = json.loads(answer.raw_content or b"")["error"]

    assert answer.status_code == status
    assert set(error) == {"message", "type", "code", "param"}
    assert (error["code"], error["param"]) == (code, None)
    assert error["type"] == ("invalid_request_error" if status < 500 else "server_error")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.raw_content or b""))
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "retry-after" in answer.headers["access-control-expose-headers"]


def test_every_refusal_stands_in_the_document_for_people() -> None:
    text = (ROOT / "docs" / "API.md").read_text().partition("## What the proxy answers by itself")[2]
    said = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.MULTILINE))

    assert said == {(str(status), code) for _, status, code in ALL} | {("429", "budget_exceeded")}


def test_each_answer_has_an_id_of_its_own() -> None:
    one, other = (refusals.answer(refusals.not_found()).headers["x-request-id"] for _ in range(2))

    assert one != other


def test_a_model_that_is_no_unicode_can_be_named_in_a_refusal() -> None:
    refusal = refusals.model_not_priced("gpt\ud800\n" + "9" * 1_000)
    answer = refusals.answer(refusal)

    assert refusal.unpriced == "gpt" + "9" * 123

    assert json.loads(answer.raw_content or b"")["error"]["code"] == "model_not_priced"
