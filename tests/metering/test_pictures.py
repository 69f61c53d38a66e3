import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.asks import ImageInput
from metering.pictures import expected_made, expected_tokens, most_made, most_tokens, partial_made

MODELS = (
    "gpt-4o-mini",
    "gpt-4o",
    "gpt-4.1",
    "gpt-4.1-nano",
    "o3",
    "o4-mini",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5.4",
)


@pytest.mark.parametrize(
    ("model", "image", "tokens"),
    [
        # OpenAI's own examples: 1024 × 1024 is four tiles, 2048 × 4096 is six, low detail is the base alone.
        ("gpt-4o", ImageInput(1024, 1024, "high"), 765),
        ("gpt-4o", ImageInput(2048, 4096, "high"), 1_105),
        ("gpt-4o", ImageInput(4096, 8192, "low"), 85),
        ("gpt-4o-2024-08-06", ImageInput(512, 512), 255),
        ("ft:gpt-4o", ImageInput(512, 512), 255),
        ("gpt-4o-mini", ImageInput(512, 512), 2_833 + 5_667),
        ("gpt-4.1-mini", ImageInput(1024, 1024), 1_659),
        ("gpt-4.1-mini", ImageInput(8000, 8000), 2_489),
        ("o4-mini", ImageInput(32, 32), 2),
        ("gpt-5.4", ImageInput(1600, 1600), 3_000),
        ("gpt-5.4", ImageInput(3200, 3200, "original"), 12_000),
        ("claude-sonnet-4-5", ImageInput(750, 100), 100),
        ("claude-sonnet-4-5", ImageInput(8000, 8000), 1_600),
    ],
)
def test_a_picture_counts_by_the_rule_of_the_model(model: str, image: ImageInput, tokens: int) -> None:
    assert expected_tokens(model, image) == tokens


def test_a_picture_of_unknown_size_is_guessed_and_bounded() -> None:
    assert expected_tokens("gpt-4o", ImageInput()) == 765
    assert most_tokens("gpt-4o", ImageInput()) == 85 + 8 * 170
    assert most_tokens("gpt-4o-mini", ImageInput()) == 2_833 + 8 * 5_667


def test_a_model_without_a_known_rule_has_an_expectation_and_no_bound() -> None:
    assert expected_tokens("tomorrows-model", ImageInput(512, 512)) == 255
    assert most_tokens("tomorrows-model", ImageInput(512, 512)) is None


@given(
    st.sampled_from(MODELS),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    st.sampled_from(("low", "high", "auto", "original", "?")),
)
def test_no_picture_counts_more_than_its_bound(model: str, width: int, height: int, detail: str) -> None:
    image = ImageInput(width, height, detail)

    bound = most_tokens(model, image)
    assert bound is not None
    assert 0 < expected_tokens(model, image) <= bound


@pytest.mark.parametrize(
    ("size", "quality", "tokens"),
    [
        ("1024x1024", "low", 272),
        ("1536x1024", "medium", 1_568),
        ("1024x1024", None, 4_160),
        (None, "low", 408),
        ("auto", "auto", 6_240),
        ("3840x2160", "max", 6_240),
    ],
)
def test_a_made_image_counts_by_size_and_quality(size: str | None, quality: str | None, tokens: int) -> None:
    assert expected_made(size, quality) == tokens
    assert most_made("gpt-image-1", size, quality) == tokens
    assert most_made("gpt-image-1.5", size, quality) == 2 * tokens


def test_a_model_whose_table_is_not_published_has_no_bound() -> None:
    assert most_made("gpt-image-2", "1024x1024", "low") is None


def test_each_unfinished_image_of_a_stream_counts() -> None:
    assert partial_made(3) == 300
