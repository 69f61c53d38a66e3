"""`scripts/explain-cost`: every line is quantity × price = amount, and the sum is what a call is charged."""

import io
import json
import re
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from metering.clock import parse_time
from metering.explain import explain, main, read_usage
from metering.pricing import PriceBook, cost
from tests.prices import PRICING, price_book

ROOT = Path(__file__).resolve().parents[2]
BOOK = price_book()
NOW_US = parse_time("2026-11-24T08:00:00Z")
SOURCE = "genai-prices 0.2.3 and litellm 1.109.1 in agreement, after https://developers.openai.com/api/docs/pricing"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> "Run":
    """With the price book that is read already. The test with standard input reads it itself."""
    monkeypatch.setattr(PriceBook, "load", lambda path: {PRICING: BOOK}[Path(path)])
    return Run(tmp_path, capsys)


class Run:
    """The command on a usage, with what it printed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._file = folder / "usage.json"
        self._capsys = capsys

    def __call__(self, model: str, usage: object, *options: str) -> tuple[int, str, str]:
        self._file.write_text(usage if isinstance(usage, str) else json.dumps(usage))
        code = main([model, str(self._file), "--date", "2026-11-24", *options])
        out, error = self._capsys.readouterr()
        return code, out, error


def test_a_cost_is_told_line_by_line(run: Run) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 600}}
    code, out, _ = run("gpt-4o", usage)
    assert code == 0
    assert re.sub(r"line \d+", "line N", out).splitlines() == [
        "row      gpt-4o@2024-10-02, line N of the price book",
        "since    2024-10-02",
        f"source   {SOURCE}",
        "checked  2026-11-23",
        "  input                  400 × $2.5 per million = $0.001",
        "  cached input           600 × $1.25 per million = $0.00075",
        "  output                 100 × $10 per million = $0.001",
        "",
        "sum      $0.00275",
        "charged  $0.00275",
    ]


def test_the_amounts_add_up_to_what_the_same_usage_is_charged() -> None:
    wire = {
        "input_tokens": 300_007,
        "input_tokens_details": {"cached_tokens": 100_003, "cache_write_tokens": 7},
        "output_tokens": 1_001,
    }
    reading = read_usage(json.dumps(wire).encode())
    row = BOOK.find("gpt-5.6-luna", NOW_US)
    assert row is not None
    assert reading.usage is not None
    told = "\n".join(explain(BOOK, row, reading, "flex", NOW_US))
    amounts = [Decimal(amount) for amount in re.findall(r"= \$([\d.]+)", told)]
    part = cost(row, reading.usage, "flex", fallback=BOOK.fallback(NOW_US))
    assert sum(amounts) == Decimal(sum(line.amount_fusd for line in part.lines)) / 10**15
    assert f"charged  ${Decimal(part.nanousd) / 10**9:f}".rstrip("0") in told
    assert "272,000" in told


def test_the_one_rounding_is_shown(run: Run) -> None:
    _, out, _ = run("gemini-1.5-flash", {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}})
    assert "sum      $0.00000001875" in out
    assert "charged  $0.000000019  (rounded up to a billionth of a dollar)" in out


def test_a_whole_answer_tells_its_tier_and_its_tools(run: Run) -> None:
    answer = {
        "object": "response",
        "model": "gpt-5",
        "service_tier": "flex",
        "status": "completed",
        "tools": [{"type": "image_generation", "model": "gpt-image-1-mini"}],
        "output": [{"type": "web_search_call", "status": "completed", "action": {"type": "search"}}],
        "tool_usage": {"image_gen": {"input_tokens": 10, "output_tokens": 272, "total_tokens": 282}},
        "usage": {"input_tokens": 1000, "output_tokens": 10, "total_tokens": 1010},
    }
    _, out, _ = run("gpt-5", answer)
    assert "1,000 × $0.625 per million" in out
    assert "1 × $0.01 = $0.01" in out
    assert "row      gpt-image-1-mini" in out
    assert "272 × $8 per million = $0.002176" in out


def test_a_region_that_costs_more_is_told(run: Run) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 10, "inference_geo": "us"}
    answer = {"type": "message", "role": "assistant", "model": "claude-opus-5", "content": [], "usage": usage}
    _, out, _ = run("claude-opus-5", answer)
    assert "surcharge for one region             1 × $0.000525 = $0.000525" in out
    assert "charged  $0.005775" in out


def test_a_tier_can_be_named_and_what_is_assumed_is_said(run: Run) -> None:
    _, out, _ = run("gpt-5.4-nano", {"prompt_tokens": 10}, "--tier", "priority")
    assert "note     gpt-5.4-nano has no price for the service tier priority" in out
    assert "10 × $0.5 per million" in out


def test_the_price_of_another_day_can_be_asked_for(run: Run) -> None:
    _, out, _ = run("gpt-4o", {"prompt_tokens": 1_000_000}, "--date", "2024-06-01")
    assert "row      gpt-4o, " in out
    assert "since    the first price of this model" in out
    assert "charged  $5" in out


def test_what_has_no_price_of_its_own_is_marked(run: Run) -> None:
    _, out, _ = run("whisper-1", {"prompt_tokens": 10})
    assert "10 × $30 per million = $0.0003  (no price of its own: the fallback's)" in out


def test_time_is_told_by_the_minute_and_images_by_the_piece(run: Run) -> None:
    _, out, _ = run("whisper-1", {"type": "duration", "seconds": 90})
    assert "90,000 × $0.006 per minute = $0.009" in out


def test_a_usage_may_come_by_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"prompt_tokens": 4}')))
    assert main(["gpt-4o", "-", "--date", "2026-11-24"]) == 0
    assert "4 × $2.5 per million" in capsys.readouterr().out


def test_a_model_without_a_price_is_said_in_one_sentence(run: Run) -> None:
    code, out, error = run("gpt-of-tomorrow", {"prompt_tokens": 4})
    assert (code, out) == (1, "")
    assert error == f"explain-cost: gpt-of-tomorrow has no price in {ROOT / 'pricing.yaml'}.\n"


@pytest.mark.parametrize(
    ("usage", "why"),
    [("{", "not JSON"), ("[]", "no usage in it"), ('{"hello": 1}', "no usage in it")],
)
def test_what_is_no_usage_is_said_in_one_sentence(run: Run, usage: str, why: str) -> None:
    code, out, error = run("gpt-4o", usage)
    assert (code, out) == (2, "")
    assert why in error
    assert error.count("\n") == 1


def test_a_file_or_a_book_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gpt-4o", str(tmp_path / "none.json")]) == 2
    usage = tmp_path / "usage.json"
    usage.write_text('{"prompt_tokens": 4}')
    assert main(["gpt-4o", str(usage), "--prices", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err
