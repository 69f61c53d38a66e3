"""Measure the estimates of calls without usage on a folder of recorded exchanges.

Run it as `python -m scripts.measure_estimates DIR [--worst N]`. Each recorded stream with usage is cut at every
tenth event; the output estimated from what had come is compared with the recorded output times the share of its
tokens, or of its characters, that had come. The input estimated from the request is compared with the recorded input; so is the
bound, which must not be below it.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from addons import endpoints
from metering.asks import Ask, Family, read_ask
from metering.bodies import parse_object
from metering.errors import BodyError
from metering.estimates import Unboundable, counted_input, estimate_usage, upper_bound
from metering.pricing import PriceBook, PriceRow
from metering.reading import Streamed, read_answer, streamed_text
from metering.reading.framing import splitter_for
from metering.tokens import count_tokens
from metering.usage import Usage
from scripts.replay_exchange import Exchange

_AT_US = 1_790_000_000_000_000
_EVERY = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """One estimate beside what was recorded."""

    exchange: str
    group: str
    model: str
    estimated: int
    recorded: int
    fraction: float = 1.0

    @property
    def error(self) -> float:
        return self.estimated / max(1.0, self.recorded * self.fraction) - 1


@dataclass(frozen=True, slots=True)
class Call:
    """A recorded call that an estimate can be made for."""

    exchange: Exchange
    ask: Ask
    row: PriceRow
    usage: Usage
    model: str


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--worst", type=int, default=0)
    given = parser.parse_args(arguments)
    book = PriceBook.load(Path(__file__).resolve().parents[1] / "pricing.yaml")
    samples: list[Sample] = []
    below: list[str] = []
    bounded = 0
    for path in sorted(given.directory.rglob("*.json")):
        call = _call(Exchange.load(path), book)
        if call is None:
            continue
        samples += [*_inputs(call), *_outputs(call)]
        verdict = _bound(call)
        bounded += verdict is not None
        if verdict:
            below.append(verdict)
    by_group: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_group[sample.group].append(sample)
    print(f"{'':58} {'samples':>7} {'median':>8} {'95th':>8} {'mean':>8}")
    for group, found in sorted(by_group.items()):
        errors = sorted(abs(sample.error) for sample in found)
        mean = sum(sample.error for sample in found) / len(found)
        last = errors[min(len(errors) - 1, len(errors) * 95 // 100)]
        print(f"{group:58} {len(found):7} {median(errors):8.1%} {last:8.1%} {mean:+8.1%}")
        for sample in sorted(found, key=lambda sample: -abs(sample.error))[: given.worst]:
            print(
                f"      {sample.exchange} {sample.model:32} estimated {sample.estimated:6}"
                f" recorded {sample.recorded * sample.fraction:9.1f} {sample.error:+.0%}"
            )
    print(f"input bounds below the recorded input: {len(below)} of {bounded}")
    for line in below:
        print(f"      {line}")
    return 1 if below else 0


def _call(exchange: Exchange, book: PriceBook) -> Call | None:
    path = urlsplit(str(exchange.record["path"])).path
    prefix, rest = exchange.place()
    del prefix
    endpoint = endpoints.find(exchange.method, urlsplit(rest or path).path.split("/"))
    # Of some exchanges only the answer was recorded: the request in the file stands for any.
    if endpoint.family is None or exchange.status >= 300 or exchange.record["fidelity"] == "response-only":
        return None
    try:
        ask = read_ask(endpoint.family, parse_object(exchange.request_body), len(exchange.request_body))
    except BodyError:
        return None
    content_type = str((exchange.record["response_headers"] or {}).get("content-type", ""))
    reading = read_answer(endpoint.family, exchange.status, content_type, exchange.response_body)
    if reading.usage is None or not reading.usage.total_tokens:
        return None
    model = reading.model or endpoint.model or ask.model or "?"
    row = next(
        (row for name in (model, endpoint.model, ask.model) if name and (row := book.find(name, _AT_US))),
        book.fallback(_AT_US),
    )
    return Call(exchange, ask, row, reading.usage, model)


def _inputs(call: Call) -> Iterator[Sample]:
    if not call.usage.input_tokens:
        return
    ask = call.ask
    estimate = estimate_usage(call.row, ask, call.exchange.request_body, Streamed())
    kind = "text only"
    if ask.hidden_input or ask.hosted_tools:
        kind = "hidden input or hosted tools"
    elif ask.has_media:
        kind = "with media"
    elif b'"tools"' in call.exchange.request_body or b'"functions"' in call.exchange.request_body:
        kind = "text and function tools"
    family = "embeddings" if ask.family in (Family.EMBEDDINGS, Family.OLLAMA_EMBED) else "generation"
    yield Sample(
        call.exchange.name,
        f"input, {kind}, {family}",
        call.model,
        estimate.input_tokens,
        call.usage.input_tokens,
    )


def _outputs(call: Call) -> Iterator[Sample]:
    body = call.exchange.response_body
    splitter = splitter_for(body[:4096])
    if not call.exchange.record["streaming"] or splitter is None or not call.usage.output_tokens:
        return
    events = splitter.feed(body) + splitter.finish()
    whole = streamed_text(call.ask.family, events)
    if not _characters(whole):
        return
    thinking = _thinking(call, whole)
    for end in range(_EVERY, len(events) + _EVERY, _EVERY):
        part = streamed_text(call.ask.family, events[:end])
        estimate = estimate_usage(call.row, call.ask, b"{}", part).output_tokens
        for measure, size in (("tokens", _tokens), ("characters", _characters)):
            share = size(part) / size(whole)
            for group in _groups(thinking) if share else ():
                name = f"output, {group}, share by {measure}"
                yield Sample(call.exchange.name, name, call.model, estimate, call.usage.output_tokens, share)


def _groups(thinking: str) -> Iterator[str]:
    yield thinking
    if thinking in ("no reasoning", "reasoning shown"):
        yield "no hidden reasoning (both)"


def _thinking(call: Call, whole: Streamed) -> str:
    shown = estimate_usage(call.row, call.ask, b"{}", Streamed(reasoning_text=whole.reasoning_text))
    hidden = call.usage.reasoning_tokens > 1.2 * shown.output_tokens + 8
    # Anthropic shows a summary of the thoughts that it bills.
    if hidden or ("claude" in call.model and whole.reasoning_text):
        return "hidden reasoning"
    if whole.reasoning_text:
        return "reasoning shown"
    if call.ask.hosted_tools:
        return "hosted tools"
    is_known = call.row.name in call.model or call.model in call.row.name
    return "model may reason" if call.row.reasoning and is_known else "no reasoning"


def _characters(put_out: Streamed) -> int:
    return len(put_out.text) + len(put_out.reasoning_text) + len(put_out.tool_text)


def _tokens(put_out: Streamed) -> int:
    return sum(
        count_tokens(text, "o200k") for text in (put_out.text, put_out.reasoning_text, put_out.tool_text)
    )


def _bound(call: Call) -> str | None:
    """Empty where the bound holds, None where there is none, else what is wrong."""
    tokens = counted_input(call.row, call.ask, call.exchange.request_body)
    verdict = None
    for counted in {None, tokens}:
        try:
            bound = upper_bound(call.row, call.ask, counted)
        except Unboundable:
            return None
        fusd = call.row.rates(None, 0).input or 0
        least = call.usage.input_tokens * fusd // 10**6
        verdict = verdict or ""
        if fusd and bound.input_nanousd < least:
            bounded = bound.input_nanousd * 10**6 // fusd
            verdict += (
                f"{call.exchange.name} {call.model} {call.ask.family}: {bounded} < {call.usage.input_tokens}"
            )
            verdict += f" (counted {counted})\n"
    return verdict


if __name__ == "__main__":
    sys.exit(main())
