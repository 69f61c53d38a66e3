"""How long an audio file is, by the reader of its container."""

import struct
from collections.abc import Callable

from metering.media.flac import flac_length
from metering.media.length import Length, is_possible
from metering.media.mp3 import mp3_length
from metering.media.mp4 import mp4_length
from metering.media.ogg import ogg_length
from metering.media.wav import wav_length
from metering.media.webm import webm_length


def audio_length(file: bytes) -> Length | None:
    """How long the file plays; None where it does not tell. Walks through all of it: call it in a thread for large ones.

    Never raises.
    """
    read = _reader(file)
    if read is None:
        return None
    try:
        found = read(file)
    except (struct.error, IndexError, ValueError, OverflowError, RecursionError):
        return None
    return found if found is not None and is_possible(found.ms) else None


def _reader(file: bytes) -> Callable[[bytes], Length | None] | None:
    start = file[:12]
    if start[:4] in (b"RIFF", b"RF64") and start[8:12] == b"WAVE":
        return wav_length
    if start[:4] == b"fLaC":
        return flac_length
    if start[:4] == b"OggS":
        return ogg_length
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return mp4_length
    if start[:4] == b"\x1aE\xdf\xa3":
        return webm_length
    if start[:3] == b"ID3" or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0):
        return mp3_length
    return None
