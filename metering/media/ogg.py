"""Ogg: the last page's position over the sample rate of the stream, which the first page names.

Opus always counts at 48 kHz, from a pre-skip on.
"""

import struct

_OPUS_RATE = 48_000
_NONE = 2**64 - 1


def ogg_ms(file: bytes) -> int | None:
    """Duration in milliseconds, rounded up."""
    packet = file[27 + file[26] :]
    skipped = 0
    if packet[:8] == b"OpusHead":
        rate = _OPUS_RATE
        skipped = struct.unpack_from("<H", packet, 10)[0]
    elif packet[:7] == b"\x01vorbis":
        rate = struct.unpack_from("<I", packet, 12)[0]
    elif packet[:5] == b"\x7fFLAC":
        rate = int.from_bytes(packet[27:30]) >> 4
    else:
        return None
    at = len(file)
    while (at := file.rfind(b"OggS", 0, at)) > 0:
        if at + 14 > len(file):
            continue
        position = struct.unpack_from("<Q", file, at + 6)[0]
        # A page on which no packet ends has no position.
        if position != _NONE:
            samples = max(0, position - skipped)
            return -(-samples * 1000 // rate) if rate else None
    return None
