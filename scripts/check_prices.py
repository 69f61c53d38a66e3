"""`scripts/check-prices`: the price book against genai-prices, a development dependency and an oracle only.

Compared are the standard and the long prices of today for every exact name of the book that the oracle knows.
What is known to differ, and why, stands in `EXPLAINED`. The exit code is 1 where a difference is not
explained.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from metering.clock import at, now_us
from metering.pricing import PriceBook, Rates

PROJECT = Path(__file__).resolve().parent.parent

_FIELDS = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_long": "cache_write_1h_mtok",
    "output": "output_mtok",
    "input_audio": "input_audio_mtok",
    "cached_audio": "cache_audio_read_mtok",
    "output_audio": "output_audio_mtok",
    "input_image": "input_image_mtok",
    "cached_image": "cache_image_read_mtok",
    "output_image": "output_image_mtok",
    "character": "input_mchars",
}
"""Field of our rates → field of the oracle's prices, dollars per million."""
_TAKEN_FROM = {
    "cached_input": "input",
    "cache_write": "input",
    "cache_write_long": "cache_write",
    "input_audio": "input",
    "cached_audio": "cached_input",
    "output_audio": "output",
    "input_image": "input",
    "cached_image": "cached_input",
    "output_image": "output",
}
_MILLISECONDS_IN_AN_HOUR = 3_600_000
_LONG_TOKENS = 1_000_000
_BUSY_HOUR_UTC = 2
"""Some providers' prices change with the hour; the book has those of the busy hours."""
_PROVIDERS = {
    "deepseek-r1-distill-": "groq",
    "openai/gpt-oss-": "groq",
    "moonshotai/": "groq",
    "meta-llama/": "groq",
    "qwen/": "groq",
    "gemma2-": "groq",
    "llama3-": "groq",
    "gpt-oss-": "cerebras",
    "qwen-3": "cerebras",
    "command-": "cohere",
    "embed-": "cohere",
    "kimi-": "moonshotai",
    "moonshot-": "moonshotai",
    "glm-": "zai",
    "minimax-": "minimax",
    "magistral-": "mistral",
    "ministral-": "mistral",
    "devstral-": "mistral",
    "pixtral-": "mistral",
    "open-mixtral-": "mistral",
    "claude-": "anthropic",
    "gemini-": "google",
    "grok-": "x-ai",
    "deepseek-": "deepseek",
    "mistral-": "mistral",
    "codestral-": "mistral",
    "open-mistral-": "mistral",
    "sonar": "perplexity",
    "llama-": "groq",
    "whisper-large-": "groq",
    "": "openai",
}
"""How a name starts → the provider whose list has it. The first that fits counts."""

EXPLAINED = (
    (
        r"gpt-(5\.6|6)[^ ]*",
        "cache_write_long",
        "Its list has no price of twelve-hour writes; here they are twice the ordinary write.",
    ),
    (
        r"gpt-(5\.6|6)-cyber",
        ".*",
        "Its list has no long prices of the cyber models; litellm's, or the family's ratio, are taken.",
    ),
    (
        "gpt-4o(-mini)?-audio-preview.*",
        ".*_audio",
        "Its list leaves audio out and would charge it as text; litellm's and OpenAI's prices are taken.",
    ),
    (
        "gpt-4o-realtime-preview-2024-10-01",
        ".*_audio",
        "The first snapshot kept its first prices; its list has those of the next.",
    ),
    (
        "gpt-4o(-mini)?-(transcribe|tts)",
        "millisecond",
        "OpenAI's estimate by the minute, for answers that state no tokens.",
    ),
    ("claude-sonnet-4-0", ".*", "Its list has no long prices of this model; Anthropic's page had."),
    (
        "claude-sonnet-5-5",
        "cached_.*",
        "Anthropic's page of the model has $0.20; the dearer of both prices is taken.",
    ),
    (
        "minimax-m2.7-highspeed",
        "cache_write.*",
        "Its list has cache writes below fresh input, which cannot be; they cost what input costs.",
    ),
    (
        "deepseek-chat",
        ".*",
        "The name is served by deepseek-v4-flash now; the dearer of both prices is taken.",
    ),
)
"""Row, field, and why the book differs there: patterns that must match whole."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A price that the two lists state differently, in dollars per million units."""

    name: str
    row: str
    field: str
    size: str
    ours: str
    theirs: str

    @property
    def reason(self) -> str | None:
        """Why the book differs, where that is known."""
        return next(
            (
                reason
                for row, field, reason in EXPLAINED
                if re.fullmatch(row, self.row) and re.fullmatch(field, self.field)
            ),
            None,
        )


def differences(book: PriceBook, at_us: int) -> Iterator[Difference]:
    """Every price of a name that both lists know and state differently."""
    for name in book.names():
        theirs = _oracle(name, at_us)
        row = book.find(name, at_us)
        # A model that is free has no figures at all in the oracle's list.
        if theirs is None or row is None or (row.free and theirs["ordinary"] == Rates()):
            continue
        ours = {"ordinary": row.rates(None, 0), "long": row.rates(None, _LONG_TOKENS)}
        for size, rates in ours.items():
            if size == "long" and rates == ours["ordinary"] and theirs[size] == theirs["ordinary"]:
                continue
            for field in (*_FIELDS, "millisecond"):
                mine, their = getattr(rates, field), getattr(theirs[size], field)
                own = _has_own_price(rates, field) or _has_own_price(theirs[size], field)
                if mine != their and own:
                    yield Difference(name, row.name, field, size, _shown(mine), _shown(their))


def unknown_names(book: PriceBook, at_us: int) -> list[str]:
    """Names of the book that the oracle does not know."""
    return [name for name in book.names() if _oracle(name, at_us) is None]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Prints every difference, the explained ones with their reason."""
    parser = argparse.ArgumentParser(
        prog="check-prices", description="Compare the price book with genai-prices."
    )
    parser.add_argument("--prices", default=str(PROJECT / "pricing.yaml"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    at_us = now_us()
    book = PriceBook.load(options.prices)
    found = list(differences(book, at_us))
    open_questions = [difference for difference in found if difference.reason is None]
    for difference in sorted(found, key=lambda each: each.reason is not None):
        label = f"{difference.name} {difference.field} ({difference.size})"
        reason = difference.reason or "NOT EXPLAINED"
        print(f"{label}: {difference.ours} here, {difference.theirs} there. {reason}")
    strangers = unknown_names(book, at_us)
    print(f"{len(strangers)} names of the book are not in genai-prices: {', '.join(strangers)}")
    print(f"{len(found)} differences, {len(open_questions)} of them not explained.")
    return 1 if open_questions else 0


def _oracle(name: str, at_us: int) -> dict[str, Rates] | None:
    """The oracle's ordinary and long prices of a name, completed by the rules that ours are completed by."""
    from genai_prices.data_snapshot import get_snapshot

    provider = next(provider for start, provider in _PROVIDERS.items() if name.startswith(start))
    try:
        _, model = get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    prices = model.get_prices(_busy(at_us))
    return {size: _rates(prices, size) for size in ("ordinary", "long")}


def _has_own_price(rates: Rates, field: str) -> bool:
    """Whether the price is more than what it takes from the part that it belongs to."""
    whole = _TAKEN_FROM.get(field)
    return whole is None or getattr(rates, field) != getattr(rates, whole)


def _busy(at_us: int) -> datetime:
    return at(at_us).replace(hour=_BUSY_HOUR_UTC)


def _rates(prices: object, size: str) -> Rates:
    stated = {}
    for ours, theirs in _FIELDS.items():
        price = getattr(prices, theirs, None)
        if price is not None and hasattr(price, "base"):
            price = price.tiers[-1].price if size == "long" else price.base
        if price is not None:
            stated[ours] = int(Decimal(price) * 10**9)
    hourly = getattr(prices, "input_audio_hours", None) or getattr(prices, "audio_hours", None)
    if hourly is not None:
        # The book rounds a millisecond's price up where it is not a whole number of femtodollars.
        stated["millisecond"] = -int(-Fraction(hourly) * 10**15 // _MILLISECONDS_IN_AN_HOUR)
    return Rates.resolve(stated)


def _shown(rate_fusd: int | None) -> str:
    return "no price" if rate_fusd is None else f"${Decimal(rate_fusd) / 10**9:f}"


if __name__ == "__main__":
    sys.exit(main())
