import json
import re
from pathlib import Path

import pytest

from metering.pricing import PriceBook
from scripts import measure_estimates
from tests.prices import PRICING, price_book


@pytest.fixture(autouse=True)
def the_book_is_read_already(monkeypatch: pytest.MonkeyPatch) -> None:
    books = {PRICING: price_book()}
    monkeypatch.setattr(PriceBook, "load", books.__getitem__)


def exchange(answer: str, usage: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "fidelity": "wire",
        "provider": "openai",
        "method": "POST",
        "path": "/v1/chat/completions",
        "request_headers": {},
        "request_body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello world"}]},
        "status": 200,
        "response_headers": {"content-type": "text/event-stream"},
        "response_body_text": answer,
        "streaming": True,
        "expected_usage": usage,
        **more,
    }


def stream(words: int, usage: dict[str, object]) -> str:
    events: list[dict[str, object]] = [
        {"model": "gpt-4o", "choices": [{"delta": {"content": " hello"}}]} for _ in range(words)
    ]
    events.append({"model": "gpt-4o", "choices": [], "usage": usage})
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def measured(directory: Path, usage: dict[str, object], **more: object) -> int:
    recorded = exchange(stream(40, usage), usage, **more)
    (directory / "a.json").write_text(json.dumps(recorded))
    return measure_estimates.main([str(directory), "--worst", "1"])


def test_estimates_that_fit_are_reported_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 40, "total_tokens": 49}

    assert measured(tmp_path, usage) == 0

    report = capsys.readouterr().out
    assert re.search(r"^input, text only, generation +1 +0\.0%", report, re.MULTILINE)
    # The stream is cut at every tenth of its 42 events; the envelope of an answer is a token of its own.
    assert re.search(r"^output, no reasoning, share by tokens +5 +3\.3%", report, re.MULTILINE)
    assert "below the recorded input: 0 of 1" in report


def test_a_bound_below_what_was_recorded_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    usage = {"prompt_tokens": 9_000, "completion_tokens": 40, "total_tokens": 9_040}

    assert measured(tmp_path, usage) == 1
    assert "below the recorded input: 1 of 1" in capsys.readouterr().out


def test_exchanges_that_tell_nothing_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 40, "total_tokens": 49}

    assert measured(tmp_path, usage, fidelity="response-only") == 0
    assert "0 of 0" in capsys.readouterr().out
