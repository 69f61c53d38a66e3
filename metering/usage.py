"""What one call consumed, and what an answer says of itself.

`Usage` holds what is billed, not what a provider happened to write: subsets are clamped, tokens that a
provider counts elsewhere are moved to where they are charged. `Reading` is everything an answer tells about
its own cost. In a `Reading`, absence is None; a `Usage()` is an explicit zero.
"""

from metering.facts import fact


@fact
class Usage:
    """Counts as billed. Each subset is at most its superset."""

    input_tokens: int = 0
    """All modalities, cached and cache-written tokens included."""
    cached_tokens: int = 0
    """Part of the input."""
    cache_write_tokens: int = 0
    """Part of the input that was not cached; includes the long-lived writes."""
    cache_write_long_tokens: int = 0
    """Part of the cache writes: kept 12 hours at OpenAI, 1 hour at Anthropic."""
    input_audio_tokens: int = 0
    """Part of the input, as are the image tokens."""
    input_image_tokens: int = 0
    cached_audio_tokens: int = 0
    """Part of the cached and of the audio input, as the cached image tokens are of theirs."""
    cached_image_tokens: int = 0
    output_tokens: int = 0
    """Reasoning included."""
    reasoning_tokens: int = 0
    """Part of the output, as are the audio and image tokens."""
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    duration_ms: int = 0
    characters: int = 0
    images: int = 0
    image_size: str | None = None
    image_quality: str | None = None
    web_searches: int = 0
    file_searches: int = 0
    code_sessions: int = 0
    """Of a container of one gigabyte; a larger one counts as many times."""

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@fact
class Reading:
    """What an answer says of itself; absence is None."""

    usage: Usage | None = None
    """None where the answer carries no usage; `Usage()` where it says zero."""
    model: str | None = None
    """The model that served the call, never empty."""
    service_tier: str | None = None
    is_regional: bool | None = None
    """Whether it was computed in one region, which some providers bill at more."""
    extras: tuple[tuple[str, Usage], ...] = ()
    """Consumption billed under another model's name, such as an image tool's."""
    provider_cost_nanousd: int | None = None
    """The provider's own figure, rounded up to a nanodollar."""
    failed: bool = False
    """An error stands where an answer should."""
    odd: tuple[str, ...] = ()
    """Fields of the usage that ought to be counts and are not; they were taken as absent."""
