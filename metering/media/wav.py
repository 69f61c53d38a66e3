"""WAV: the size of the data over the bytes of a second.

Some writers leave the size open until the end: then the file's own counts, and at most all that is in the file plays. Of
uncompressed sound, players reckon with the rate, the channels and the size of a sample, whatever the header says that a
second has: so does this.
"""

import struct

from metering.media.length import Length, ms_of

_OPEN = 0xFFFFFFFF
_EXTENDED = 0xFFFE
_WHOLE_SAMPLES = (1, 3)
_COMPANDED = (6, 7)
_ADPCM = (2, 0x11)


def wav_length(file: bytes) -> Length | None:
    """The length by the header, and that of everything behind it; at most only for codings of a fixed size."""
    at = 12
    stated = least = 0
    while at + 8 <= len(file):
        name = file[at : at + 4]
        size = struct.unpack_from("<I", file, at + 4)[0]
        if name == b"fmt ":
            stated, least = _bytes_per_second(file, at + 8, size)
        elif name == b"data":
            there = len(file) - at - 8
            # What is not in the file cannot be heard, whatever its header says.
            length = there if size in (0, _OPEN) else min(size, there)
            ms, most_ms = ms_of(length, least or stated), ms_of(there, least)
            return Length(ms, None if most_ms is None else max(ms, most_ms)) if ms else None
        at += 8 + size + size % 2
    return None


def _bytes_per_second(file: bytes, at: int, size: int) -> tuple[int, int]:
    """What the header says, and the least that the coding can have; 0 where that is not known."""
    coding, channels, rate, stated, align, bits = struct.unpack_from("<HHIIHH", file, at)
    if coding == _EXTENDED and size >= 26:
        coding = struct.unpack_from("<H", file, at + 24)[0]
    if coding in _WHOLE_SAMPLES:
        frame = min((count for count in (align, channels * -(-bits // 8)) if count), default=0)
        return rate * frame, rate * frame
    if coding in _COMPANDED:
        return rate * channels, rate * channels
    return stated, rate * channels // 2 if coding in _ADPCM else 0
