import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering import tokens
from metering.tokens import count_tokens


def test_the_two_encodings_count_as_openai_does() -> None:
    assert count_tokens("hello world", "o200k") == 2
    assert count_tokens("hello world", "cl100k") == 2
    assert count_tokens("你好，世界", "o200k") < count_tokens("你好，世界", "cl100k")


def test_no_text_is_no_tokens() -> None:
    assert count_tokens("", "o200k") == 0


def test_what_looks_like_a_control_token_is_text() -> None:
    assert count_tokens("<|endoftext|>", "o200k") > 1


def test_half_a_surrogate_pair_is_counted_as_what_providers_replace_it_by() -> None:
    assert count_tokens("a\ud83d", "o200k") == count_tokens("a\ufffd", "o200k")


@pytest.mark.parametrize(
    "text", ["a" * 300_000, " " * 300_000, "a1" * 100_000, "\n" * 200_000, "中" * 100_000]
)
def test_a_long_text_is_counted_in_slices_that_hardly_change_the_count(text: str) -> None:
    sliced = count_tokens(text, "o200k")
    whole = tokens._tokenizer("o200k").count(text)

    assert abs(sliced - whole) <= len(text) // 16_384 + 1


def test_beyond_the_longest_text_the_rest_counts_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "COUNTED_CHARACTERS_MAX", 20_000)

    assert count_tokens("hello " * 10_000, "o200k") == pytest.approx(10_000, rel=0.01)


def test_threads_share_one_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_loaded", {})
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(count_tokens("hello world", "cl100k"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [2] * 8
    assert list(tokens._loaded) == ["cl100k"]


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(), max_size=500))
def test_a_text_never_has_more_tokens_than_bytes(text: str) -> None:
    assert count_tokens(text, "o200k") <= len(text.encode(errors="replace")) * 3
    if text.isprintable():
        assert count_tokens(text, "o200k") <= len(text.encode())
