"""Images and audio with the OpenAI SDK: forms, files, answers without usage, all charged by what they are billed by."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import orjson
import pytest
from openai import OpenAI, RateLimitError

from scripts.standin import Answer, Received, StandIn, ThreadedStandIn
from tests.end_to_end.stack import Admin, Stack

# The SDK calls variations deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00\x00\x00\x04\x00\x08\x02\x00\x00\x00"
    b"\xf0\x7f\xbc\xd4\x00\x00\x00\x00IEND\xaeB`\x82"
)
IMAGE = {
    "created": 1,
    "data": [{"b64_json": "AAAA"}],
    "size": "1024x1024",
    "quality": "low",
    "usage": {
        "input_tokens": 108,
        "input_tokens_details": {"text_tokens": 8, "image_tokens": 100},
        "output_tokens": 272,
        "total_tokens": 380,
    },
}
HEARD = {
    "type": "tokens",
    "input_tokens": 11,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 11},
    "output_tokens": 5,
    "total_tokens": 16,
}
SPEECH = b"\xff\xfb\x90\x00" * 2_000


def wav(seconds: int) -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8_000)
        sound.writeframes(b"\x80" * (8_000 * seconds))
    file.seek(0)
    file.name = "speech.wav"
    return file


def answer(received: Received) -> Answer:
    """The media endpoints, in the shapes of the API."""
    path = received.target.removeprefix("/v1/")
    document: Mapping[str, Any] = {
        "images/generations": IMAGE,
        "images/edits": IMAGE,
        "images/variations": {"created": 1, "data": [{"url": "x"}, {"url": "y"}]},
        "audio/transcriptions": {"text": "Hello.", "usage": HEARD},
        "audio/translations": {"text": "Hello."},
        "moderations": {"id": "m", "model": "omni-moderation-latest", "results": []},
    }.get(path, {})
    if path == "audio/speech":
        return Answer(headers=[("content-type", "audio/mpeg")], body=SPEECH)
    if b'name="stream"' in received.body:
        return Answer(headers=[("content-type", "text/event-stream")], chunks=events())
    if b"whisper-1" in received.body and path == "audio/transcriptions":
        document = {"text": "Hello.", "duration": 90.2, "usage": {"type": "duration", "seconds": 91}}
    return Answer(body=orjson.dumps(document))


async def events() -> AsyncIterator[bytes]:
    yield b'data: {"type":"transcript.text.delta","delta":"Hello."}\r\n\r\n'
    yield b"data: " + orjson.dumps({"type": "transcript.text.done", "text": "Hello.", "usage": HEARD}) + b"\r\n\r\n"  # fmt: skip


@pytest.fixture
def upstream() -> Iterator[StandIn]:
    with ThreadedStandIn(answer) as standin:
        yield standin


def generate(client: OpenAI) -> object:
    return client.images.generate(model="gpt-image-1", prompt="a cat", size="1024x1024", quality="low").data


def edit(client: OpenAI) -> object:
    return client.images.edit(model="gpt-image-1", image=("a.png", PNG), prompt="a hat").data


def vary(client: OpenAI) -> object:
    return client.images.create_variation(model="dall-e-2", image=("a.png", PNG), n=2, size="512x512").data


def transcribe(client: OpenAI) -> object:
    return client.audio.transcriptions.create(model="gpt-4o-transcribe", file=wav(1)).text


def transcribe_in_events(client: OpenAI) -> object:
    return list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=wav(1), stream=True))


def transcribe_by_time(client: OpenAI) -> object:
    return client.audio.transcriptions.create(
        model="whisper-1", file=wav(1), response_format="verbose_json"
    ).duration


def translate(client: OpenAI) -> object:
    """No usage and no duration in the answer: the file's header says how long it is."""
    return client.audio.translations.create(model="whisper-1", file=wav(7)).text


def speak(client: OpenAI) -> object:
    read = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello, world!").read()
    assert read == SPEECH
    return read


@pytest.mark.parametrize(
    ("call", "endpoint", "cost"),
    [
        # Dollars per million tokens: text 5, image in 10, image out 40.
        (generate, "images/generations", "0.01192"),
        (edit, "images/edits", "0.01192"),
        (vary, "images/variations", "0.036"),
        # Audio in 6, text out 10.
        (transcribe, "audio/transcriptions", "0.000116"),
        (transcribe_in_events, "audio/transcriptions", "0.000116"),
        # $0.006 a minute.
        (transcribe_by_time, "audio/transcriptions", "0.0091"),
        (translate, "audio/translations", "0.0007"),
        # $15 per million characters.
        (speak, "audio/speech", "0.000195"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_images_and_audio_are_charged_by_what_they_are_billed_by(
    stack: Stack,
    admin: Admin,
    upstream: StandIn,
    call: Callable[[OpenAI], object],
    endpoint: str,
    cost: str,
) -> None:
    limiter = admin.create(upstream.url)
    with OpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter), max_retries=0) as client:
        assert call(client)

    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == Decimal(cost)
    (row,) = admin.usage(limiter["id"])
    assert (row["endpoint"], row["state"], row["status"]) == (endpoint, "settled", 200)


def test_moderations_are_free_whatever_the_budget(stack: Stack, admin: Admin, upstream: StandIn) -> None:
    limiter = admin.create(upstream.url, "0")
    with OpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter), max_retries=0) as client:
        assert client.moderations.create(input="hello").id == "m"

    assert admin.usage(limiter["id"]) == []


@pytest.mark.parametrize("enforcement", ["soft", "strict"])
def test_a_form_is_refused_before_it_costs_anything(
    stack: Stack, admin: Admin, upstream: StandIn, enforcement: str
) -> None:
    limiter = admin.create(upstream.url, "0", enforcement=enforcement)
    with OpenAI(api_key="sk-a-client", base_url=stack.base_url(limiter), max_retries=0) as client:
        for call in (edit, vary, transcribe, translate, speak, generate):
            with pytest.raises(RateLimitError) as refusal:
                call(client)
            assert refusal.value.code == "budget_exceeded"

    assert upstream.received == []
