from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.asks import Ask, Family, ImageInput, read_ask
from metering.estimates import estimate_usage, in_proportion
from metering.reading import Streamed
from metering.usage import Usage
from tests.metering.asking import ask_of, chat, encoded, row

NOTHING = Streamed()


def estimate(
    model: str, body: dict[str, object], put_out: Streamed = NOTHING, family: Family = Family.CHAT
) -> Usage:
    raw = encoded(body)
    return estimate_usage(row(model), read_ask(family, body, len(raw)), raw, put_out)


def messages(*texts: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text} for text in texts]


def test_a_chat_counts_three_tokens_a_message_and_three_more() -> None:
    # "hello world" is two tokens, "user" one.
    body = {"model": "gpt-4o", "messages": messages("hello world")}
    assert estimate("gpt-4o", body).input_tokens == 3 + 3 + 1 + 2

    body = {"model": "gpt-4o", "messages": messages("hello world", "hello world")}
    assert estimate("gpt-4o", body).input_tokens == 3 + 2 * (3 + 1 + 2)


def test_a_name_costs_its_tokens_and_one() -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello world", "name": "hello"}]}

    assert estimate("gpt-4o", body).input_tokens == 3 + 3 + 1 + 2 + 1 + 1


def test_later_models_are_primed_by_one_token_less() -> None:
    body = {"model": "gpt-5", "messages": messages("hello world")}

    assert estimate("gpt-5", body).input_tokens == 8


def test_a_text_in_parts_counts_as_the_text() -> None:
    whole = {"model": "gpt-4o", "messages": messages("hello world")}
    parts = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello world"}]}],
    }

    assert estimate("gpt-4o", parts) == estimate("gpt-4o", whole)


def test_instructions_are_a_message_of_their_own() -> None:
    plain = {"model": "gpt-4o", "input": "hello world"}
    told = plain | {"instructions": "hello world"}

    assert estimate("gpt-4o", plain, family=Family.RESPONSES).input_tokens == 9
    assert estimate("gpt-4o", told, family=Family.RESPONSES).input_tokens == 15


def test_definitions_of_tools_count_nearly_as_their_json() -> None:
    body = {"model": "gpt-4o", "messages": messages("hello world")}
    tool = {
        "type": "function",
        "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
    }

    assert 9 + 10 < estimate("gpt-4o", body | {"tools": [tool]}).input_tokens < 9 + 30


def test_embeddings_count_each_text_and_each_token_that_the_client_counted_out() -> None:
    texts = {"model": "m", "input": ["hello world", "hello"]}
    numbers = {"model": "m", "input": [[1, 2, 3], [4]]}

    assert estimate("text-embedding-3-small", texts, family=Family.EMBEDDINGS) == Usage(input_tokens=3)
    assert estimate("text-embedding-3-small", numbers, family=Family.EMBEDDINGS) == Usage(input_tokens=4)


def test_a_legacy_prompt_counts_bare() -> None:
    body = {"model": "m", "prompt": ["hello world", "hello world"]}

    assert estimate("gpt-3.5-turbo-instruct", body, family=Family.COMPLETIONS).input_tokens == 4


def test_system_texts_of_anthropic_and_gemini_count() -> None:
    short = {"model": "m", "max_tokens": 9, "messages": messages("hello")}
    long = short | {"system": [{"type": "text", "text": "hello " * 100}]}
    more = estimate("claude-sonnet", long, family=Family.MESSAGES).input_tokens
    assert more > estimate("claude-sonnet", short, family=Family.MESSAGES).input_tokens + 100

    short = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    long = short | {"systemInstruction": {"parts": [{"text": "hello " * 100}]}}
    more = estimate("gpt-4o", long, family=Family.GEMINI).input_tokens
    assert more > estimate("gpt-4o", short, family=Family.GEMINI).input_tokens + 90


def test_pictures_count_by_the_rule_and_not_as_text() -> None:
    url = "data:image/png;base64," + "A" * 100_000
    body = {
        "model": "gpt-4o",
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]}
        ],
    }

    found = estimate("gpt-4o", body)

    assert found.input_image_tokens == 85
    assert found.input_tokens < 85 + 12


def test_audio_in_the_prompt_counts_ten_tokens_a_second() -> None:
    ask = replace(chat(), audio_inputs=1, audio_ms=5_000)

    assert estimate_usage(row("gpt-audio"), ask, b"{}", NOTHING).input_audio_tokens == 50


def test_everything_that_was_put_out_counts() -> None:
    ask = chat()
    text = estimate_usage(row("gpt-4o"), ask, b"{}", Streamed(text="hello world"))
    tools = estimate_usage(row("gpt-4o"), ask, b"{}", Streamed(tool_text="hello world", tool_calls=1))
    thought = estimate_usage(
        row("gpt-4o"), ask, b"{}", Streamed(text="hello world", reasoning_text="hello world" * 10)
    )

    assert text.output_tokens == 3
    assert tools.output_tokens > text.output_tokens
    assert thought.reasoning_tokens >= 20
    assert thought.output_tokens == text.output_tokens + thought.reasoning_tokens


def test_nothing_put_out_is_no_output() -> None:
    assert estimate_usage(row("gpt-4o"), chat(), b"{}", NOTHING).output_tokens == 0


def test_spoken_answers_count_twenty_tokens_a_second() -> None:
    ask = chat(modalities=["audio"], audio={"format": "pcm16", "voice": "alloy"})

    found = estimate_usage(row("gpt-audio"), ask, b"{}", Streamed(audio_bytes=96_000))

    assert found.output_audio_tokens == 40
    assert found.output_tokens == 40


def test_images_of_a_chat_count_as_output() -> None:
    found = estimate_usage(row("gpt-4o"), chat(), b"{}", Streamed(images=1))

    assert found.output_image_tokens == found.output_tokens == 6_240


@pytest.mark.parametrize(
    ("put_out", "tokens"),
    [(NOTHING, 272), (Streamed(images=1), 272), (Streamed(partial_images=2), 200)],
)
def test_a_cut_stream_of_an_image_is_charged_for_what_came(put_out: Streamed, tokens: int) -> None:
    body = {"prompt": "hello world", "size": "1024x1024", "quality": "low", "partial_images": 2}

    found = estimate("gpt-image-1", body, put_out, Family.IMAGE_GENERATION)

    assert found.output_image_tokens == tokens
    assert found.input_tokens == 2


def test_images_by_the_piece_count_as_pieces() -> None:
    body = {"prompt": "hello", "n": 2, "size": "1024x1024", "quality": "hd"}

    found = estimate("dall-e-3", body, NOTHING, Family.IMAGE_GENERATION)

    assert found == Usage(images=2, image_size="1024x1024", image_quality="hd")


def test_an_edit_counts_the_pictures_that_it_starts_from() -> None:
    ask = replace(ask_of(Family.IMAGE_EDIT, prompt="a"), image_inputs=(ImageInput(512, 512),))

    assert estimate_usage(row("gpt-image-1"), ask, b"{}", NOTHING).input_image_tokens == 65 + 129


def test_speech_by_the_character_is_billed_whole_and_by_tokens_as_far_as_it_came() -> None:
    body = {"model": "m", "input": "hello world " * 100}

    assert estimate("tts-1", body, NOTHING, Family.SPEECH) == Usage(characters=1_200)
    assert estimate("gpt-4o-mini-tts", body, NOTHING, Family.SPEECH).output_tokens == 0
    some = estimate("gpt-4o-mini-tts", body, Streamed(audio_bytes=160_000), Family.SPEECH)
    assert some.output_audio_tokens == 200
    # However the audio was coded, a text is only so long when it is spoken.
    most = estimate("gpt-4o-mini-tts", body, Streamed(audio_bytes=10**9), Family.SPEECH)
    assert most.output_tokens == 3_200


def test_a_transcription_counts_its_length_or_its_tokens() -> None:
    ask = Ask(family=Family.TRANSCRIPTION, model="m", body_bytes=9, audio_inputs=1, audio_ms=60_000)
    said = Streamed(text="hello world")

    assert estimate_usage(row("whisper-1"), ask, b"", said) == Usage(duration_ms=60_000)
    assert estimate_usage(row("gpt-4o-transcribe"), ask, b"", said) == Usage(
        input_tokens=600, input_audio_tokens=600, output_tokens=2, duration_ms=60_000
    )


def test_no_more_input_than_the_context_window_is_charged() -> None:
    body = {"model": "gpt-4o", "messages": messages("a b " * 100_000)}

    assert estimate("gpt-4o", body).input_tokens == 128_000


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[1]", b'{"messages": 5}', b'{"messages": [[[["a"]]]]}', b'"x"']
)
def test_a_body_that_makes_no_sense_is_estimated_all_the_same(body: bytes) -> None:
    found = estimate_usage(row("gpt-4o"), chat(), body, Streamed(text="hello"))

    assert found.output_tokens == 2
    assert found.input_tokens >= 0 < 50


def test_half_a_surrogate_pair_in_a_body_does_not_hide_the_rest() -> None:
    body = b'{"messages": [{"role": "user", "content": "\\ud83d ' + b"hello " * 100 + b'"}]}'

    assert estimate_usage(row("gpt-4o"), chat(), body, NOTHING).input_tokens > 100


def test_cohere_s_older_chat_is_counted_under_ollama_s_path() -> None:
    body = {"message": "hello world", "chat_history": [{"role": "USER", "message": "hello world"}]}
    nothing = estimate("gpt-4o", {}, family=Family.OLLAMA_CHAT).input_tokens

    assert estimate("gpt-4o", body, family=Family.OLLAMA_CHAT).input_tokens >= nothing + 4


def test_gemini_s_embeddings_are_their_contents_and_no_output() -> None:
    content = {"parts": [{"text": "hello world"}]}
    one = estimate("gpt-4o", {"content": content}, family=Family.GEMINI_EMBED)
    many = {"requests": [{"model": "models/e", "content": content, "taskType": "X"}] * 3}

    assert one == Usage(input_tokens=2)
    assert estimate("gpt-4o", many, family=Family.GEMINI_EMBED) == Usage(input_tokens=6)


def test_what_was_not_kept_of_an_answer_is_as_dense_as_what_was() -> None:
    usage = Usage(input_tokens=9, output_tokens=1_000, reasoning_tokens=400, output_audio_tokens=1)

    grown = in_proportion(usage, row("gpt-4o"), chat(), 100, 250)
    assert grown == Usage(input_tokens=9, output_tokens=2_500, reasoning_tokens=1_000, output_audio_tokens=2)


def test_an_answer_that_was_kept_whole_or_not_at_all_stays_as_it_was_counted() -> None:
    usage = Usage(output_tokens=1_000)

    assert in_proportion(usage, row("gpt-4o"), chat(), 100, 100) == usage
    assert in_proportion(usage, row("gpt-4o"), chat(), 0, 100) == usage
    assert in_proportion(Usage(), row("gpt-4o"), chat(), 1, 100) == Usage()


def test_in_proportion_there_is_no_more_than_the_model_can_put_out() -> None:
    model = row("gpt-4o")
    assert model.output_tokens_max is not None

    found = in_proportion(Usage(output_tokens=1_000), model, chat(), 1, 10**6)

    assert found.output_tokens == model.output_tokens_max
    more = Usage(output_tokens=2 * model.output_tokens_max)
    assert in_proportion(more, model, chat(), 1, 2) == more


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)
FIELDS = (
    "messages",
    "input",
    "prompt",
    "contents",
    "system",
    "tools",
    "instructions",
    "response_format",
    "text",
)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(list(Family)), st.dictionaries(st.sampled_from(FIELDS), json_values), st.text(max_size=50)
)
def test_no_body_and_no_answer_makes_an_estimate_fail(
    family: Family, body: dict[str, object], text: str
) -> None:
    ask = Ask(family=family, model=None, body_bytes=100)
    put_out = Streamed(text=text, reasoning_text=text, tool_text=text, tool_calls=3, audio_bytes=5)

    found = estimate_usage(row("gpt-4o"), ask, encoded(body), put_out)

    assert found.input_tokens >= 0
    assert (
        found.reasoning_tokens + found.output_audio_tokens <= found.output_tokens or family is Family.SPEECH
    )
