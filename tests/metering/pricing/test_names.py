"""Which row a name on the wire finds, and which names find none."""

from collections.abc import Callable

import pytest

from metering.pricing import PriceBook


@pytest.mark.parametrize(
    ("name", "row"),
    [
        # Exact, alias, and a snapshot without a row of its own.
        ("gpt-4o", "gpt-4o"),
        ("gpt-5.6", "gpt-5.6-sol"),
        ("chat-latest", "gpt-chat-latest"),
        ("gpt-5.4-2026-03-05", "gpt-5.4"),
        ("gpt-4-0613", "gpt-4"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        # A snapshot with a row of its own keeps it.
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o-2024-11-20", "gpt-4o-2024-08-06"),
        ("gpt-3.5-turbo-1106", "gpt-3.5-turbo-1106"),
        ("gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613"),
        ("gpt-4o-audio-preview-2024-10-01", "gpt-4o-audio-preview-2024-10-01"),
        # Fine-tunes, at OpenAI and at Azure.
        ("ft:gpt-4o-2024-08-06:acme::abc123", "ft:gpt-4o"),
        ("ft:gpt-4o-mini-2024-07-18:acme:bot:abc123:ckpt-step-80", "ft:gpt-4o-mini"),
        ("ft:gpt-3.5-turbo-0125:acme::abc", "ft:gpt-3.5-turbo"),
        ("ft:gpt-4.1-mini-2025-04-14:acme::abc", "ft:gpt-4.1-mini"),
        ("ft:gpt-4o", "ft:gpt-4o"),
        ("gpt-4o-mini-2024-07-18.ft-0e208cf33a6a466994aff31a08aba678", "ft:gpt-4o-mini"),
        # Case, space, vendors, routes, Azure's spelling.
        ("  GPT-4o ", "gpt-4o"),
        ("openai/gpt-4o", "gpt-4o"),
        ("openai:gpt-4o-mini", "gpt-4o-mini"),
        ("azure/gpt-4o-2024-11-20", "gpt-4o-2024-08-06"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("anthropic/claude-4.5-haiku-20251001", "claude-haiku-4-5"),
        ("openai/gpt-4o-mini:nitro", "gpt-4o-mini"),
        ("openai/gpt-4o:extended", "gpt-4o:extended"),
        ("openai/gpt-4o:free", "gpt-4o"),
        ("gpt-35-turbo", "gpt-3.5-turbo"),
        ("gpt-35-turbo-16k", "gpt-3.5-turbo-16k"),
        ("gpt-35-turbo-1106", "gpt-3.5-turbo-1106"),
        ("gpt-41-mini", "gpt-4.1-mini"),
        ("gpt-5-1", "gpt-5.1"),
        ("openai/gpt-5.4-nano-20260317", "gpt-5.4-nano"),
        # Other vendors' names, some of which have a slash of their own.
        ("claude-fable-5.2", "claude-fable-5-2"),
        ("gemini-flash-latest", "gemini-3.8-flash"),
        ("x-ai/grok-4.7", "grok-4.7"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("magistral-medium-latest", "magistral-medium"),
        ("deepseek-v4-pro", "deepseek-v4-pro"),
        ("openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("gpt-oss-120b", "gpt-oss-120b"),
        ("moonshotai/kimi-k2-instruct-0905", "moonshotai/kimi-k2-instruct"),
        ("kimi-k3", "kimi-k3"),
        ("GLM-5.3", "glm-5.3"),
        ("z-ai/glm-5.3", "glm-5.3"),
        ("minimax/minimax-m3", "minimax-m3"),
        ("cohere/command-a", "command-a-03-2025"),
        ("MiniMax-M2.7", "minimax-m2.7"),
        ("command-a-03-2025", "command-a-03-2025"),
        # Longer families are not their shorter ones.
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-5-pro-2025-10-06", "gpt-5-pro"),
        ("gpt-4-1106-preview", "gpt-4-turbo"),
        ("babbage:2023-07-21-v2", "babbage-002"),
    ],
)
def test_a_name_finds_its_row(book: PriceBook, now_us: int, name: str, row: str) -> None:
    found = book.find(name, now_us)
    assert found is not None
    assert found.name == row


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpt",
        "gpt-4o-",
        "gpt-4o-maxi",
        "gpt-4o-mini-tts-hd",
        "gpt-4o-2024",
        "gpt-4o-2024-13-45",
        "gpt-4o-1399",
        "gpt-5.4-mini-preview",
        "gpt-6.3-astra",
        "gpt-6.2-astra-pro",
        "gpt-99",
        "gpt-40",
        "gpt-4o-2024-08-06-2024-08-06-x",
        "ft:gpt-9:acme::abc",
        "ft:",
        "ft:o3:acme::abc",
        "my-deployment",
        "azure/us/gpt-4o",
        "someone/gpt-4o",
        "gpt-4o:online",
        "llama3.2",
        "gpt-5.2-codex-max",
        "*",
    ],
)
def test_an_unknown_name_is_never_guessed_from_a_prefix(book: PriceBook, now_us: int, name: str) -> None:
    assert book.find(name, now_us) is None
    assert book.dearest(name, now_us) is None


def test_no_prefix_of_a_known_name_is_priced_unless_it_is_a_name_itself(book: PriceBook, now_us: int) -> None:
    known = set(book.names())
    for name in sorted(known):
        for end in range(1, len(name)):
            found = book.find(name[:end], now_us)
            if found is not None and name[:end] not in known:
                # What is left by cutting is a name with a date, a route or another spelling: still not a guess.
                assert found.name in known
                assert any(mark in name[:end] for mark in ("ft:", ":", "-0", "-1", "-2", "/"))


def test_wildcards_are_taken_last_and_the_longest_first(
    good_book_with: Callable[[str], PriceBook],
) -> None:
    book = good_book_with(
        '  "local/*": {fees: plain, prices: [{source: page, checked: 2026-11-23, standard: {input: 0, output: 0}}]}\n'
        '  "local/big-*": {fees: plain, prices: [{source: page, checked: 2026-11-23, standard: '
        "{input: 1, output: 4}}]}\n"
        "  local/big-one: {fees: plain, prices: [{source: page, checked: 2026-11-23, standard: "
        "{input: 2, output: 4}}]}\n"
    )
    names = ["local/small", "local/big-two", "local/big-one", "local/big-one-2026-01-01", "other/local/small"]
    found = [book.find(name, 0) for name in names]
    assert [row and row.name for row in found] == [
        "local/*",
        "local/big-*",
        "local/big-one",
        "local/big-one",
        None,
    ]
    assert found[0] is not None
    assert found[0].free
