"""How long audio is and how many tokens that makes, where nothing states it.

OpenAI's models hear ten tokens a second and speak twenty: audio is a tenth of a second a token in the prompt, a
twentieth in the answer. Speech is about fifteen characters a second.
"""

from metering.asks import Ask

HEARD_TOKENS_PER_S = 10
SPOKEN_TOKENS_PER_S = 20

_CHARACTERS_PER_S = 15
_UPLOAD_BYTES_PER_S = 4_000
"""32 kbit a second: what speech is recorded at by phones; music and most files have more."""
_UNSEEN_MS = 600_000
_SPOKEN_BYTES_PER_S = {
    "mp3": 16_000,
    "wav": 48_000,
    "pcm": 48_000,
    "pcm16": 48_000,
    "flac": 24_000,
    "aac": 8_000,
    "opus": 4_000,
    "g711_ulaw": 8_000,
    "g711_alaw": 8_000,
}
"""By the coding that the request asks for: 24,000 samples a second of two bytes, or what OpenAI compresses them to."""


def expected_ms(ask: Ask) -> int:
    """How long the audio that a request is about is: by its headers, else by its size; at least a second for each.

    Audio that is not in the request stands behind an address, and is taken to be ten minutes long.
    """
    if not ask.audio_inputs:
        return _UNSEEN_MS
    if ask.audio_ms is not None:
        return max(ask.audio_ms, 1_000 * ask.audio_inputs)
    return max(ask.audio_bytes * 1_000 // _UPLOAD_BYTES_PER_S, 1_000 * max(1, ask.audio_inputs))


def audio_tokens(length_ms: int) -> int:
    """Input tokens of so much audio."""
    return -(-length_ms * HEARD_TOKENS_PER_S // 1_000)


def spoken_tokens(characters: int) -> int:
    """Output tokens of a text that is spoken."""
    return -(-characters * SPOKEN_TOKENS_PER_S // _CHARACTERS_PER_S)


def spoken_bytes_tokens(audio_bytes: int, audio_format: str | None) -> int:
    """Output tokens of so many bytes of audio that came out."""
    bytes_per_s = _SPOKEN_BYTES_PER_S.get(audio_format or "mp3", 4_000)
    return -(-audio_bytes * SPOKEN_TOKENS_PER_S // bytes_per_s)
