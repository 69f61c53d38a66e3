import base64
import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.asks import Ask, Family, ImageInput, read_ask
from metering.errors import BodyError

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 640, 480)
PNG_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8_000, 16_000, 2, 16)
WAV_BASE64 = base64.b64encode(WAV + b"data" + struct.pack("<I", 16_000) + b"\x00" * 16_000).decode()


def ask(family: Family, **body: object) -> Ask:
    return read_ask(family, body, len(json.dumps(body)))


def refusal_of(family: Family, **body: object) -> str:
    with pytest.raises(BodyError) as refused:
        ask(family, **body)
    return refused.value.reason


def user_says(*parts: dict[str, object]) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def test_a_plain_chat_asks_for_one_answer_without_a_limit() -> None:
    found = ask(Family.CHAT, model="gpt-4o", messages=[{"role": "user", "content": "hi"}])

    assert (found.model, found.n, found.prompts, found.answers) == ("gpt-4o", 1, 1, 1)
    assert (found.output_limit, found.output_limit_field) == (None, None)
    assert not (found.stream or found.hidden_input or found.has_media or found.hosted_tools)
    assert found.text_bytes == found.body_bytes


def test_a_stream_and_whether_its_usage_is_asked_for() -> None:
    assert ask(Family.CHAT, stream=True).stream
    assert not ask(Family.CHAT, stream=True, stream_options={}).includes_usage
    assert ask(Family.CHAT, stream=True, stream_options={"include_usage": True}).includes_usage
    assert not ask(Family.CHAT, stream_options={"include_usage": "true"}).includes_usage


@pytest.mark.parametrize(
    ("family", "body", "limit", "field"),
    [
        (Family.CHAT, {"max_tokens": 5}, 5, "max_tokens"),
        (Family.CHAT, {"max_completion_tokens": 7}, 7, "max_completion_tokens"),
        # Servers differ in which they obey: the higher one may count.
        (Family.CHAT, {"max_tokens": 9, "max_completion_tokens": 7}, 9, "max_tokens"),
        (Family.CHAT, {"max_output_tokens": 9}, None, None),
        (Family.RESPONSES, {"max_output_tokens": 9}, 9, "max_output_tokens"),
        (Family.RESPONSES, {"max_tokens": 9}, None, None),
        (Family.COMPLETIONS, {"max_tokens": 0}, 0, "max_tokens"),
        (Family.MESSAGES, {"max_tokens": 3}, 3, "max_tokens"),
        (Family.GEMINI, {"generationConfig": {"maxOutputTokens": 4}}, 4, "generationConfig.maxOutputTokens"),
        (Family.OLLAMA_CHAT, {"options": {"num_predict": 8}}, 8, "options.num_predict"),
        (Family.OLLAMA_GENERATE, {"options": {"num_predict": -1}}, None, None),
        (Family.EMBEDDINGS, {"max_tokens": 3}, None, None),
        (Family.CHAT, {"max_tokens": None}, None, None),
    ],
)
def test_each_family_has_its_own_field_for_the_limit(
    family: Family, body: dict[str, object], limit: int | None, field: str | None
) -> None:
    found = ask(family, **body)

    assert (found.output_limit, found.output_limit_field) == (limit, field)


@pytest.mark.parametrize(
    ("family", "body", "n", "prompts"),
    [
        (Family.CHAT, {"n": 3, "best_of": 9}, 3, 1),
        (Family.COMPLETIONS, {"n": 3, "best_of": 9, "prompt": "a"}, 9, 1),
        (Family.COMPLETIONS, {"n": 3, "prompt": ["a", "b"]}, 3, 2),
        (Family.COMPLETIONS, {"prompt": [1, 2, 3]}, 1, 1),
        (Family.COMPLETIONS, {"prompt": [[1], [2, 3]]}, 1, 2),
        (Family.COMPLETIONS, {"prompt": []}, 1, 1),
        (Family.RESPONSES, {"n": 3}, 1, 1),
        (Family.GEMINI, {"generationConfig": {"candidateCount": 2}}, 2, 1),
        (Family.GEMINI, {"generationConfig": {"candidateCount": 2, "candidate_count": 3}}, 3, 1),
        (Family.OLLAMA_EMBED, {"input": ["a", "b"]}, 1, 2),
        (Family.EMBEDDINGS, {"input": ["a", "b", "c"]}, 1, 3),
        (Family.GEMINI_EMBED, {"requests": [{}, {}]}, 1, 2),
    ],
)
def test_every_answer_that_is_generated_counts(
    family: Family, body: dict[str, object], n: int, prompts: int
) -> None:
    found = ask(family, **body)

    assert (found.n, found.prompts) == (n, prompts)


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": "100"},
        {"max_tokens": 1.5},
        {"max_tokens": True},
        {"max_tokens": -1},
        {"max_tokens": 10**12},
        {"n": 0},
        {"n": "2"},
        {"n": 10**6},
        {"stream": "true"},
        {"stream": 1},
        {"model": 5},
        {"model": "a\nb"},
        {"model": "x" * 300},
        {"stream_options": []},
        {"max_tool_calls": -1},
        {"background": "yes"},
    ],
)
def test_what_decides_the_cost_must_be_unmistakable(body: dict[str, object]) -> None:
    reason = refusal_of(Family.CHAT, **body)

    assert reason.startswith("`")
    assert reason.endswith(".")


def test_a_model_is_read_without_the_space_around_it() -> None:
    assert ask(Family.CHAT, model=" gpt-4o ").model == "gpt-4o"
    assert ask(Family.CHAT, model="").model is None


@pytest.mark.parametrize(
    ("body", "user"),
    [
        ({"safety_identifier": "s", "user": "u"}, "s"),
        ({"safety_identifier": " ", "user": "u"}, "u"),
        ({"metadata": {"user_id": "m"}}, "m"),
        ({"user": "  a\x00\u200bb\n "}, "ab"),
        ({"user": "x" * 500}, "x" * 128),
        ({"user": {"id": 1}}, None),
        ({"user": ""}, None),
        ({}, None),
    ],
)
def test_the_user_is_the_first_who_is_named(body: dict[str, object], user: str | None) -> None:
    assert ask(Family.CHAT, **body).user == user


def test_pictures_are_measured_and_are_no_text() -> None:
    found = ask(
        Family.CHAT, **user_says({"type": "image_url", "image_url": {"url": PNG_URL, "detail": "low"}})
    )

    assert found.image_inputs == (ImageInput(640, 480, "low"),)
    assert found.media_bytes == len(PNG_URL)
    assert found.text_bytes == found.body_bytes - len(PNG_URL)


@pytest.mark.parametrize(
    ("family", "body"),
    [
        (Family.RESPONSES, {"input": [{"content": [{"type": "input_image", "image_url": PNG_URL}]}]}),
        (Family.RESPONSES, {"input": [{"output": {"type": "computer_screenshot", "image_url": PNG_URL}}]}),
        (
            Family.MESSAGES,
            user_says(
                {"type": "image", "source": {"type": "base64", "data": base64.b64encode(PNG).decode()}}
            ),
        ),
        (
            Family.MESSAGES,
            user_says({"type": "tool_result", "content": [{"type": "image", "source": {"data": PNG_URL}}]}),
        ),
        (
            Family.GEMINI,
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": PNG_URL[22:]}}]}]},
        ),
        (Family.OLLAMA_CHAT, {"messages": [{"images": [PNG_URL[22:]]}]}),
        (Family.IMAGE_EDIT, {"prompt": "a", "image": PNG_URL}),
    ],
)
def test_each_family_spells_pictures_its_own_way(family: Family, body: dict[str, object]) -> None:
    found = ask(family, **body)

    assert [(image.width, image.height) for image in found.image_inputs] == [(640, 480)]
    assert not found.hidden_input


@pytest.mark.parametrize("url", ["https://example.com/a.png", "data:image/png;base64,AAAA", "!", 5, None])
def test_a_picture_of_unknown_size_is_a_picture_all_the_same(url: object) -> None:
    found = ask(Family.CHAT, **user_says({"type": "image_url", "image_url": {"url": url}}))

    assert found.image_inputs == (ImageInput(None, None, "auto"),)


def test_audio_is_measured() -> None:
    found = ask(Family.CHAT, **user_says({"type": "input_audio", "input_audio": {"data": WAV_BASE64}}))

    assert (found.audio_inputs, found.audio_ms, found.audio_most_ms) == (1, 1_000, 1_000)
    assert found.media_bytes == len(WAV_BASE64)


def test_audio_of_unknown_length_makes_the_whole_unknown() -> None:
    parts = [
        {"type": "input_audio", "input_audio": {"data": WAV_BASE64}},
        {"type": "input_audio", "input_audio": {"data": "AAAA"}},
    ]
    found = ask(Family.CHAT, **user_says(*parts))

    assert (found.audio_inputs, found.audio_ms, found.audio_bytes) == (2, None, 16_044 + 3)


@pytest.mark.parametrize(
    ("family", "body"),
    [
        (Family.CHAT, user_says({"type": "file", "file": {"file_data": "AAAA"}})),
        (Family.CHAT, user_says({"type": "video_url", "video_url": {}})),
        (Family.CHAT, user_says({"type": 5})),
        (Family.CHAT, {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}),
        (Family.RESPONSES, {"previous_response_id": "resp_1"}),
        (Family.RESPONSES, {"conversation": {"id": "conv_1"}}),
        (Family.RESPONSES, {"prompt": {"id": "pmpt_1"}}),
        (Family.RESPONSES, {"reasoning": {"mode": "pro"}}),
        (Family.RESPONSES, {"input": [{"type": "item_reference", "id": "x"}]}),
        (Family.RESPONSES, {"input": [{"type": ["item_reference"]}]}),
        (Family.RESPONSES, {"input": [{"type": "web_search_call", "id": "ws_1"}]}),
        (Family.RESPONSES, {"input": [{"type": "tomorrows_item", "id": "x"}]}),
        (Family.CHAT, {"extra_body": {"google": {"cached_content": "cachedContents/1"}}}),
        (Family.EMBEDDINGS, {"input": [{"image": "https://example.com/a.png"}]}),
        (Family.RESPONSES, {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}),
        (Family.MESSAGES, {"container": "c_1"}),
        (Family.MESSAGES, user_says({"type": "document", "source": {"type": "base64", "data": "AAAA"}})),
        (
            Family.MESSAGES,
            user_says(
                {
                    "type": "web_fetch_tool_result",
                    "content": {"content": {"type": "document", "source": {"type": "base64", "data": "A"}}},
                }
            ),
        ),
        (Family.GEMINI, {"cachedContent": "c"}),
        (
            Family.GEMINI_EMBED,
            {"requests": [{}, {"content": {"parts": [{"fileData": {}}, {"file_data": {"a": 1}}]}}]},
        ),
        (Family.GEMINI, {"systemInstruction": {"parts": [{"fileData": {"fileUri": "x"}}]}}),
        (
            Family.GEMINI,
            {"contents": [{"parts": [{"functionResponse": {"parts": [{"fileData": {"fileUri": "x"}}]}}]}]},
        ),
        (Family.GEMINI, {"contents": {"parts": [{"fileData": {"fileUri": "x"}}]}}),
        (
            Family.GEMINI,
            {"contents": [{"parts": [{"inlineData": {"mimeType": "application/pdf", "data": "A"}}]}]},
        ),
    ],
)
def test_what_the_body_does_not_show_is_hidden_input(family: Family, body: dict[str, object]) -> None:
    assert ask(family, **body).hidden_input


def test_texts_of_every_kind_are_no_hidden_input() -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "thinking", "thinking": "b", "signature": "c"},
        {"type": "tool_use", "name": "f", "input": {}},
        {"type": "document", "source": {"type": "text", "data": "plain"}},
        {"type": "tool_result", "content": "d"},
        {"type": "web_fetch_tool_result", "content": {"content": {"source": {"type": "text", "data": "e"}}}},
    ]

    assert not ask(Family.MESSAGES, **user_says(*parts)).hidden_input
    reasoning = {"type": "reasoning", "encrypted_content": "gAAA", "summary": []}
    assert not ask(Family.RESPONSES, input=[reasoning]).hidden_input


@pytest.mark.parametrize(
    ("family", "body", "tools"),
    [
        (Family.CHAT, {"tools": [{"type": "function"}, {"type": "custom"}]}, ()),
        (Family.CHAT, {"tools": [{"function": {"name": "f"}}, {"name": "g"}, {}]}, ()),
        (Family.CHAT, {"tools": [{"google_search": {}}]}, ("google_search",)),
        (Family.CHAT, {"tools": [{"type": 5}]}, ("tool",)),
        (Family.CHAT, {"web_search_options": {"search_context_size": "low"}}, ("web_search",)),
        (Family.CHAT, {"web_search_options": {}}, ("web_search",)),
        (Family.CHAT, {"web_search_options": None, "plugins": []}, ()),
        (Family.CHAT, {"model": "anthropic/claude-sonnet-5:online"}, ("web_search",)),
        (Family.CHAT, {"plugins": [{"id": "web"}]}, ("plugins",)),
        (Family.CHAT, {"data_sources": [{}]}, ("data_sources",)),
        (Family.RESPONSES, {"tools": [{"type": "web_search"}, {"type": "mcp"}]}, ("web_search", "mcp")),
        (Family.RESPONSES, {"tools": [{"type": "shell", "environment": {"type": "local"}}]}, ()),
        (Family.RESPONSES, {"tools": [{"type": "shell"}]}, ("shell",)),
        (
            Family.RESPONSES,
            {"tools": [{"type": "namespace", "tools": [{"type": "function"}, {"type": "file_search"}]}]},
            ("file_search",),
        ),
        (Family.RESPONSES, {"tools": [{"type": "tomorrows_tool"}]}, ("tomorrows_tool",)),
        (Family.MESSAGES, {"tools": [{"name": "f", "input_schema": {}}, {"type": "bash_20250124"}]}, ()),
        (Family.MESSAGES, {"tools": [{"type": "web_search_20250305"}]}, ("web_search_20250305",)),
        (Family.GEMINI, {"tools": [{"functionDeclarations": []}, {"googleSearch": {}}]}, ("googleSearch",)),
        (Family.GEMINI, {"tools": {"googleSearch": {}}}, ("googleSearch",)),
    ],
)
def test_only_tools_that_the_provider_runs_are_hosted(
    family: Family, body: dict[str, object], tools: tuple[str, ...]
) -> None:
    assert ask(family, **body).hosted_tools == tools


def test_how_often_hosted_tools_may_be_called() -> None:
    search = {"type": "web_search_20250305", "max_uses": 2}

    assert ask(Family.RESPONSES, max_tool_calls=4).max_tool_calls == 4
    assert ask(Family.MESSAGES, tools=[search, search]).max_tool_calls == 4
    assert ask(Family.MESSAGES, tools=[search, {"type": "code_execution_20250825"}]).max_tool_calls is None
    assert ask(Family.MESSAGES, tools=[search], mcp_servers=[{"url": "x"}]).max_tool_calls is None


def test_tools_that_the_provider_describes_itself_are_counted() -> None:
    function = {"type": "function", "function": {"name": "f"}}

    assert ask(Family.CHAT, model="gpt-4o", tools=[function]).built_in_tools == 0
    assert ask(Family.CHAT, model="anthropic/claude-sonnet-4", tools=[function]).built_in_tools == 1
    assert ask(Family.MESSAGES, tools=[{"name": "f"}, {"type": "bash_20250124"}]).built_in_tools == 2
    assert ask(Family.RESPONSES, tools=[{"type": "apply_patch"}]).built_in_tools == 1


def test_images_to_be_made_and_their_size() -> None:
    found = ask(
        Family.IMAGE_GENERATION,
        prompt="a",
        n=2,
        size="1024x1536",
        quality="low",
        partial_images=3,
        stream=True,
    )

    assert (found.images, found.partial_images) == (2, 3)
    assert (found.image_size, found.image_quality) == ("1024x1536", "low")
    assert ask(Family.IMAGE_GENERATION, prompt="a").images == 1
    assert ask(Family.CHAT, size="1x1", partial_images=3).image_size is None


def test_characters_to_be_spoken_and_the_coding_of_the_audio() -> None:
    found = ask(Family.SPEECH, input="Grüße", response_format="opus")

    assert (found.characters, found.audio_format) == (5, "opus")
    assert ask(Family.CHAT, audio={"format": "pcm16"}).audio_format == "pcm16"
    assert ask(Family.CHAT, response_format={"type": "json_object"}).audio_format is None


def test_what_else_changes_the_price_is_seen() -> None:
    assert ask(Family.CHAT, service_tier="flex").service_tier == "flex"
    assert ask(Family.RESPONSES, background=True).background
    shell = {"type": "shell", "environment": {"type": "container_auto", "memory_limit": "4g"}}
    code = {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "16g"}}
    assert ask(Family.RESPONSES, tools=[shell, code, {"type": "web_search"}]).container_gigabytes == 16
    assert (
        ask(Family.RESPONSES, tools=[{"type": "code_interpreter", "container": "c"}]).container_gigabytes == 1
    )
    assert ask(Family.GEMINI, serviceTier="priority").service_tier == "priority"
    assert ask(Family.MESSAGES, speed="fast", service_tier="auto").service_tier == "ultrafast"
    assert ask(Family.MESSAGES, thinking={"type": "enabled", "budget_tokens": 4_096}).thinking_tokens == 4_096
    assert ask(Family.CHAT, deferred=True).background
    assert ask(Family.CHAT, models=["a", "b"]).other_models
    assert ask(Family.CHAT, preset="a").other_models
    assert ask(Family.RESPONSES, context_management=[{"type": "compaction"}]).compacts
    assert ask(Family.MESSAGES, context_management={"edits": [{"type": "compact_20260112"}]}).compacts
    clearing = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    assert not ask(Family.MESSAGES, context_management=clearing).compacts
    assert ask(Family.CHAT, prompt_cache_retention="24h").long_cache
    assert ask(Family.MESSAGES).long_cache
    assert ask(Family.CHAT, prediction={"content": "abc"}).predicted_bytes == 3
    assert ask(Family.RESPONSES, reasoning={"effort": "high"}).reasoning_effort == "high"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "content", "image_url", "url", "data", "source", "parts", "file"]), inner
        )
    ),
    max_leaves=12,
)
FIELDS = (
    *("model", "messages", "input", "prompt", "contents", "tools", "n", "best_of", "max_tokens", "stream"),
    *(
        "stream_options",
        "user",
        "metadata",
        "reasoning",
        "audio",
        "prediction",
        "image",
        "images",
        "mask",
        "options",
    ),
    *(
        "generationConfig",
        "service_tier",
        "size",
        "quality",
        "partial_images",
        "input_audio",
        "file",
        "container",
    ),
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(Family)), st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=6))
def test_any_body_is_read_or_refused(family: Family, body: dict[str, object]) -> None:
    found = None
    with suppress(BodyError):
        found = read_ask(family, body, 1_000)

    assert found is None or (0 <= found.text_bytes <= 1_000 and found.answers >= 1)
