"""What an answer has put out, for counting it where no usage came.

Content, reasoning (or its summary), tool calls and refusals are all billed as output; so are images and
audio, by other rules. Works on the raw events that a `StreamReader` kept, and on a whole JSON answer as well.
It parses every event: call it off the event loop.
"""

from collections.abc import Callable, Sequence

from metering.asks import Family
from metering.facts import fact
from metering.reading import spoken as formats
from metering.reading.framing import parse, splitter_for
from metering.reading.spoken import Spoken
from metering.reading.values import Wire


@fact
class Streamed:
    """Counted by the caller: texts by tokenizer, images and audio by the model's rules."""

    text: str = ""
    """Content, refusals and the transcripts of audio."""
    reasoning_text: str = ""
    """Thoughts or their summary, as far as they were shown."""
    tool_text: str = ""
    """Names and arguments of tool calls."""
    tool_calls: int = 0
    images: int = 0
    partial_images: int = 0
    audio_bytes: int = 0
    """Decoded size of the audio."""


_FORMATS: dict[Family, Callable[[Wire, Spoken], None]] = {
    Family.CHAT: formats.chat,
    Family.COMPLETIONS: formats.chat,
    Family.RESPONSES: formats.responses,
    Family.COMPACT: formats.responses,
    Family.IMAGE_GENERATION: formats.images,
    Family.IMAGE_EDIT: formats.images,
    Family.IMAGE_VARIATION: formats.images,
    Family.SPEECH: formats.audio,
    Family.TRANSCRIPTION: formats.audio,
    Family.TRANSLATION: formats.audio,
    Family.MESSAGES: formats.messages,
    Family.GEMINI: formats.gemini,
    Family.OLLAMA_CHAT: formats.ollama,
    Family.OLLAMA_GENERATE: formats.ollama,
}


def streamed_text(family: Family | None, kept: Sequence[bytes]) -> Streamed:
    """What the kept events, or the pieces of one JSON answer, have put out. Never raises."""
    spoken = Spoken()
    read = formats.any_of_them if family is None else _FORMATS.get(family, formats.any_of_them)
    body = b"".join(kept)
    splitter = splitter_for(body[:4096])
    if splitter is not None:
        for event in splitter.feed(body) + splitter.finish():
            document = parse(data) if (data := splitter.data(event)) else None
            if isinstance(document, dict):
                read(document, spoken)
    return Streamed(
        text="".join(spoken.text),
        reasoning_text="".join(spoken.reasoning),
        tool_text="".join(spoken.tools),
        tool_calls=spoken.tool_calls,
        images=spoken.images,
        partial_images=spoken.partial_images,
        audio_bytes=spoken.audio_bytes,
    )
