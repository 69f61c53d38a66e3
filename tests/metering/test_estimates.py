from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.asks import Ask, Family, ImageInput
from metering.estimates import Learned, expected_cost, expected_usage, learn
from metering.pricing import cost
from metering.usage import Usage
from tests.metering.asking import ask_of, chat, fallback, responses, row


def test_the_first_call_to_a_model_expects_512_tokens_of_output() -> None:
    ask = chat()

    assert expected_cost(row("gpt-4o"), ask, None) == -(-ask.body_bytes // 4) * 2_000 + 512 * 10_000


def test_a_reasoning_model_is_expected_to_think_first() -> None:
    ask = responses()

    assert expected_cost(row("gpt-5"), ask, None) == -(-ask.body_bytes // 4) * 2_000 + 2_048 * 10_000


def test_what_was_learned_replaces_the_first_guess() -> None:
    ask = chat()

    expected = expected_cost(row("gpt-4o"), ask, Learned(output_tokens=70, input_ratio_ppm=500_000))

    assert expected == -(-ask.body_bytes // 2) * 2_000 + 70 * 10_000


def test_a_declared_limit_caps_the_expectation_and_the_answers_multiply_it() -> None:
    ask = chat(max_tokens=100, n=3)

    assert expected_cost(row("gpt-4o"), ask, None) == -(-ask.body_bytes // 4) * 2_000 + 300 * 10_000


def test_the_model_caps_the_expectation() -> None:
    learned = Learned(output_tokens=10**6, input_ratio_ppm=0)

    assert expected_cost(row("gpt-4o"), chat(), learned) == 16_384 * 10_000


def test_a_body_that_shows_its_input_never_has_more_tokens_than_bytes() -> None:
    learned = Learned(output_tokens=0, input_ratio_ppm=10**10)
    shown, hidden = responses(), responses(previous_response_id="resp_1")

    assert expected_cost(row("gpt-5"), shown, learned) == shown.body_bytes * 2_000
    # An earlier answer fills the context window, and no more.
    assert expected_cost(row("gpt-5"), hidden, learned) == 400_000 * 4_000


def test_a_legacy_prompt_without_a_limit_is_completed_by_sixteen_tokens() -> None:
    ask = ask_of(Family.COMPLETIONS, model="m", prompt=["a", "b"])

    expected = expected_cost(row("gpt-3.5-turbo-instruct"), ask, None)

    assert expected == -(-ask.body_bytes // 4) * 2_000 + 32 * 2_000


def test_pictures_and_audio_are_expected_beside_the_text() -> None:
    small = ImageInput(512, 512)
    seen = replace(chat(), image_inputs=(small,), media_bytes=10)
    heard = replace(chat(), audio_inputs=1, audio_ms=20_000, media_bytes=10)

    text = -(-(seen.body_bytes - 10) // 4) * 2_000
    assert expected_cost(row("gpt-4o"), seen, None) == text + 255 * 2_000 + 512 * 10_000
    assert expected_cost(row("gpt-audio"), heard, None) == text + 200 * 32_000 + 512 * 10_000


def test_one_call_of_each_hosted_tool_is_expected() -> None:
    tools = [{"type": "web_search"}, {"type": "file_search"}, {"type": "code_interpreter"}]
    with_tools = responses(tools=tools)
    fees = 25_000_000 + 2_500_000 + 30_000_000

    without_calls = replace(with_tools, max_tool_calls=0)
    difference = expected_cost(row("gpt-5"), with_tools, None) - expected_cost(
        row("gpt-5"), without_calls, None
    )
    assert difference == fees


def test_embeddings_have_no_output() -> None:
    ask = ask_of(Family.EMBEDDINGS, model="m", input=["a" * 4_000])

    assert expected_cost(row("text-embedding-3-small"), ask, None) == -(-ask.body_bytes // 4) * 2_000


@pytest.mark.parametrize(
    ("model", "ask", "nanousd"),
    [
        ("dall-e-3", ask_of(Family.IMAGE_GENERATION, prompt="a", n=2), 80_000_000),
        ("tts-1", ask_of(Family.SPEECH, model="m", input="hello"), 5 * 15_000),
        (
            "whisper-1",
            Ask(family=Family.TRANSLATION, model="m", body_bytes=9, audio_inputs=1, audio_ms=60_000),
            6_000_000,
        ),
        (
            "whisper-1",
            Ask(
                family=Family.TRANSCRIPTION,
                model="m",
                body_bytes=9,
                audio_inputs=1,
                audio_ms=None,
                audio_bytes=8_000,
            ),
            200_000,
        ),
        (
            "gpt-4o-transcribe",
            Ask(family=Family.TRANSCRIPTION, model="m", body_bytes=9, audio_inputs=1, audio_ms=60_000),
            600 * 6_000 + 300 * 10_000,
        ),
    ],
)
def test_other_measures_are_expected_by_their_own_price(model: str, ask: Ask, nanousd: int) -> None:
    assert expected_cost(row(model), ask, None) == nanousd


def test_an_image_by_tokens_is_expected_at_high_quality_unless_the_request_says_less() -> None:
    auto = ask_of(Family.IMAGE_GENERATION, prompt="a", size="1024x1024")
    low = ask_of(Family.IMAGE_GENERATION, prompt="a", size="1024x1024", quality="low")

    assert expected_cost(row("gpt-image-1"), auto, None) > 4_160 * 40_000
    assert 272 * 40_000 < expected_cost(row("gpt-image-1"), low, None) < 300 * 40_000


def test_speech_by_tokens_is_expected_from_the_length_of_the_text() -> None:
    ask = ask_of(Family.SPEECH, model="m", input="a" * 150)

    text = -(-ask.body_bytes // 4) * 600
    assert expected_cost(row("gpt-4o-mini-tts"), ask, None) == text + 200 * 12_000


def test_only_a_free_model_costs_nothing() -> None:
    assert expected_cost(row("llama3.1"), chat(), None) == 0
    assert expected_cost(row("llama3.1"), responses(tools=[{"type": "web_search"}]), None) > 0
    # The row has no price for text, which is not the same as free.
    assert expected_cost(row("tts-1"), chat(), None) == 1
    assert expected_cost(row("tts-1"), chat(), None, fallback()) > 512 * 180_000


def test_the_tier_that_is_asked_for_is_expected() -> None:
    default = expected_cost(row("gpt-4o"), chat(service_tier="default"), None)

    assert expected_cost(row("gpt-4o"), chat(service_tier="priority"), None) > 1.9 * default
    assert expected_cost(row("gpt-4o"), chat(service_tier="flex"), None) < 0.6 * default


def test_the_first_call_sets_the_averages() -> None:
    assert learn(None, 1_000, Usage(input_tokens=300, output_tokens=40)) == Learned(40, 300_000)
    assert learn(None, 1_000, Usage(input_tokens=300, output_tokens=40), answers=4) == Learned(10, 300_000)


def test_each_call_moves_the_averages_a_sixteenth_of_the_way() -> None:
    learned = learn(Learned(160, 160_000), 1_000, Usage(input_tokens=320, output_tokens=320))

    assert learned == Learned(170, 170_000)


def test_the_averages_arrive_at_what_every_call_says() -> None:
    learned = Learned(1_000, 10_000)
    for _ in range(200):
        learned = learn(learned, 1_000, Usage(input_tokens=250, output_tokens=7))

    assert learned == Learned(7, 250_000)


@settings(deadline=None)
@given(
    st.none() | st.builds(Learned, st.integers(0, 10**9), st.integers(0, 10**9)),
    st.integers(0, 10**9),
    st.integers(0, 10**15),
    st.integers(0, 10**15),
)
def test_averages_stay_between_what_was_known_and_what_is_new(
    learned: Learned | None, body_bytes: int, given_tokens: int, made_tokens: int
) -> None:
    usage = Usage(input_tokens=given_tokens, output_tokens=made_tokens)
    new = learn(None, body_bytes, usage)
    moved = learn(learned, body_bytes, usage)

    old = learned or new
    assert min(old.output_tokens, new.output_tokens) <= moved.output_tokens
    assert moved.output_tokens <= max(old.output_tokens, new.output_tokens)
    assert min(old.input_ratio_ppm, new.input_ratio_ppm) <= moved.input_ratio_ppm
    assert moved.input_ratio_ppm <= max(old.input_ratio_ppm, new.input_ratio_ppm)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(list(Family)),
    st.sampled_from(
        ("gpt-4o", "gpt-5", "dall-e-3", "gpt-image-1", "tts-1", "whisper-1", "gpt-4o-transcribe")
    ),
    st.integers(0, 10**8),
    st.none() | st.integers(0, 10**8),
    st.none() | st.builds(Learned, st.integers(0, 10**9), st.integers(0, 10**9)),
    st.none() | st.integers(0, 10**10),
)
def test_no_family_on_no_model_is_expected_to_be_free(
    family: Family, model: str, size: int, limit: int | None, learned: Learned | None, audio_ms: int | None
) -> None:
    ask = Ask(
        family=family,
        model=None,
        body_bytes=size,
        output_limit=limit,
        images=1,
        characters=size,
        audio_inputs=1,
        audio_ms=audio_ms,
    )

    assert expected_cost(row(model), ask, learned) > 0


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from((Family.CHAT, Family.COMPLETIONS, Family.RESPONSES, Family.MESSAGES)),
    st.sampled_from(("gpt-4o", "gpt-5", "gpt-4o-search-preview", "gpt-audio", "llama3.1")),
    st.integers(0, 10**7),
    st.none() | st.integers(0, 10**5),
    st.sampled_from((None, "flex", "priority", "warp")),
)
def test_the_short_way_for_plain_calls_costs_what_the_long_way_does(
    family: Family, model: str, size: int, limit: int | None, tier: str | None
) -> None:
    ask = Ask(family=family, model=None, body_bytes=size, output_limit=limit, service_tier=tier, n=2)

    usage = expected_usage(row(model), ask, None)
    assert expected_cost(row(model), ask, None) == cost(row(model), usage, tier, fallback=fallback()).nanousd
