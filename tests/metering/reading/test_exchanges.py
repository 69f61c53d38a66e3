"""One small exchange for each rule of reading: the files of tests/exchanges, read whole and in pieces."""

import json
from pathlib import Path
from typing import Any

import pytest

from metering.asks import Family
from metering.reading import StreamReader, read_answer
from metering.usage import Reading, Usage

FOLDER = Path(__file__).resolve().parents[2] / "exchanges"
EXCHANGES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))
}
STREAMS = [name for name, exchange in EXCHANGES.items() if exchange["streaming"]]


def family(exchange: dict[str, Any]) -> Family:
    return Family(exchange["expected"]["family"])


def body(exchange: dict[str, Any]) -> bytes:
    return exchange["response_body_text"].encode()  # type: ignore[no-any-return]


def check(exchange: dict[str, Any], reading: Reading) -> None:
    expected = exchange["expected"]
    counts = expected["counts"]
    assert reading.usage == (None if counts is None else Usage(**counts)), exchange["rule"]
    assert reading.model == expected["model"]
    assert reading.service_tier == expected["service_tier"]
    assert reading.failed == expected["failed"]
    assert not reading.odd


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_answer_in_one_piece_says_what_it_says(name: str) -> None:
    exchange = EXCHANGES[name]
    content_type = exchange["response_headers"]["content-type"]
    check(exchange, read_answer(family(exchange), exchange["status"], content_type, body(exchange)))


@pytest.mark.parametrize("size", [1, 3, 64, 100_000])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_says_the_same_however_it_is_cut_and_goes_on_byte_for_byte(name: str, size: int) -> None:
    exchange = EXCHANGES[name]
    raw = body(exchange)
    asked = exchange["request_body"]
    answers = asked.get("n", 1) if isinstance(asked, dict) else 1
    reader = StreamReader(family(exchange), withhold_usage=False, answers=answers)
    passed = [piece for at in range(0, len(raw), size) for piece in reader.feed(raw[at : at + size])]
    passed += reader.end()
    assert b"".join(passed) == raw
    check(exchange, reader.reading)


def test_no_rule_is_without_an_exchange() -> None:
    providers = {name.partition("_")[0] for name in EXCHANGES}
    assert providers >= {
        "anthropic",
        "azure",
        "deepseek",
        "gemini",
        "groq",
        "mistral",
        "ollama",
        "openai",
        "openrouter",
        "perplexity",
        "together",
        "vercel",
        "vllm",
        "xai",
    }
