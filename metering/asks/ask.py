"""A request, reduced to what decides its cost and to whom it is attributed."""

from dataclasses import dataclass

from metering.asks.family import Family
from metering.facts import fact


@dataclass(frozen=True, slots=True)
class ImageInput:
    """An image in the prompt. Width and height are None where only the provider can know them."""

    width: int | None = None
    height: int | None = None
    detail: str = "auto"


@fact
class Ask:
    """Absent is None; a request that says nothing of a thing has its default."""

    family: Family
    model: str | None
    """As the body names it; the path may name another."""
    body_bytes: int
    stream: bool = False
    includes_usage: bool = False
    """The client itself asked for the usage of its stream."""
    n: int = 1
    """Answers to each prompt that are generated, and therefore billed: the larger of `n` and `best_of`."""
    prompts: int = 1
    """Prompts in the one request: legacy completions and embeddings."""
    output_limit: int | None = None
    """Output tokens of one answer at most; the highest where several fields say it."""
    output_limit_field: str | None = None
    """The field that says so; dotted where it is nested."""
    service_tier: str | None = None
    is_regional: bool = False
    """The call asks to be computed in one region, which some providers bill at more."""
    user: str | None = None
    background: bool = False
    """The answer, and its bill, come after the call has ended; xAI calls that deferred."""
    reasoning_effort: str | None = None
    hosted_tools: tuple[str, ...] = ()
    """Tools that the provider runs itself, each call of which may cost and feeds more input to the model."""
    max_tool_calls: int | None = None
    container_gigabytes: int = 1
    """Memory of the container that code is run in: a session costs as many times the price of one gigabyte."""
    built_in_tools: int = 0
    """Kinds of tools whose definitions the provider writes into the prompt itself."""
    audio_format: str | None = None
    """Coding of the audio to be made."""
    compacts: bool = False
    """The provider may shorten the conversation by a call of its own."""
    thinking_tokens: int = 0
    """What the request sets aside for thinking: an output limit must be above it."""
    hidden_input: bool = False
    """Some input is not in the body: an earlier answer, a conversation, a stored prompt, a file."""
    other_models: bool = False
    """The request lets the provider choose among several models."""
    long_cache: bool = False
    """Cache writes may be of the long-lived, dearer kind."""
    predicted_bytes: int = 0
    """Size of a predicted output, of which what is rejected is billed as output."""
    image_inputs: tuple[ImageInput, ...] = ()
    audio_inputs: int = 0
    audio_ms: int | None = 0
    """Length of all audio in the request, as it most likely is; None where it cannot be told from the bytes."""
    audio_most_ms: int | None = None
    """Its length at most; None where nothing in the bytes proves one."""
    audio_bytes: int = 0
    """Decoded size of that audio."""
    media_bytes: int = 0
    """How much of the body is images, audio and other files rather than text."""
    images: int = 0
    """Images to be made."""
    partial_images: int = 0
    image_size: str | None = None
    image_quality: str | None = None
    characters: int = 0
    """Characters to be spoken."""

    @property
    def text_bytes(self) -> int:
        """What of the body may be tokens of text: an upper bound of their number."""
        return max(0, self.body_bytes - self.media_bytes)

    @property
    def has_media(self) -> bool:
        """Images or audio are in the input."""
        return bool(self.image_inputs or self.audio_inputs)

    @property
    def answers(self) -> int:
        """How many answers are generated in all."""
        return self.n * self.prompts
