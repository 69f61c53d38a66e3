"""Which shape each API family's answers have."""

from metering.asks import Family
from metering.reading.audio import SPEECH, TRANSCRIPT
from metering.reading.chat import CHAT
from metering.reading.gemini import GEMINI
from metering.reading.generic import GENERIC
from metering.reading.images import IMAGES
from metering.reading.messages import MESSAGES
from metering.reading.responses import RESPONSES
from metering.reading.shape import Shape

_SHAPES: dict[Family, Shape] = {
    Family.CHAT: CHAT,
    Family.COMPLETIONS: CHAT,
    Family.RESPONSES: RESPONSES,
    Family.COMPACT: RESPONSES,
    Family.IMAGE_GENERATION: IMAGES,
    Family.IMAGE_EDIT: IMAGES,
    Family.IMAGE_VARIATION: IMAGES,
    Family.SPEECH: SPEECH,
    Family.TRANSCRIPTION: TRANSCRIPT,
    Family.TRANSLATION: TRANSCRIPT,
    Family.MESSAGES: MESSAGES,
    Family.GEMINI: GEMINI,
    Family.GEMINI_EMBED: GEMINI,
}


def shape_of(family: Family | None) -> Shape:
    """The family's shape. Embeddings are read by the general rule, as are Ollama's paths: others answer there
    in their own way.
    """
    return GENERIC if family is None else _SHAPES.get(family, GENERIC)
