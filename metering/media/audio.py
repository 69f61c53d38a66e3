"""How long an audio file is, by the reader of its container."""

import struct
from collections.abc import Callable

from metering.media.flac import flac_ms
from metering.media.mp3 import mp3_ms
from metering.media.mp4 import mp4_ms
from metering.media.ogg import ogg_ms
from metering.media.wav import wav_ms
from metering.media.webm import webm_ms

_DAYS_MS = 30 * 86_400_000
"""No upload that a provider takes is longer; a header that says more is wrong."""


def audio_duration_ms(file: bytes) -> int | None:
    """Length in milliseconds, rounded up; None where the header does not tell it. Never raises."""
    read = _reader(file)
    if read is None:
        return None
    try:
        length_ms = read(file)
    except (struct.error, IndexError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return length_ms if length_ms is not None and 0 < length_ms <= _DAYS_MS else None


def _reader(file: bytes) -> Callable[[bytes], int | None] | None:
    start = file[:12]
    if start[:4] in (b"RIFF", b"RF64") and start[8:12] == b"WAVE":
        return wav_ms
    if start[:4] == b"fLaC":
        return flac_ms
    if start[:4] == b"OggS":
        return ogg_ms
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return mp4_ms
    if start[:4] == b"\x1aE\xdf\xa3":
        return webm_ms
    if start[:3] == b"ID3" or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0):
        return mp3_ms
    return None
