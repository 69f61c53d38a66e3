"""WAV: the size of the data over the bytes of a second.

Some writers leave the size open until the end: then the file's own counts. Of uncompressed sound, players reckon with the
sample rate and the size of a sample, whatever the header says a second has: so does this.
"""

import struct

_OPEN = 0xFFFFFFFF
_UNCOMPRESSED = (1, 3, 0xFFFE)


def wav_ms(file: bytes) -> int | None:
    """Duration in milliseconds, rounded up."""
    at = 12
    bytes_per_second = 0
    while at + 8 <= len(file):
        name = file[at : at + 4]
        size = struct.unpack_from("<I", file, at + 4)[0]
        if name == b"fmt ":
            coding, _, rate, bytes_per_second, align = struct.unpack_from("<HHIIH", file, at + 8)
            if coding in _UNCOMPRESSED and rate and align:
                bytes_per_second = rate * align
        elif name == b"data":
            there = len(file) - at - 8
            # What is not in the file cannot be heard, whatever its header says.
            length = there if size in (0, _OPEN) else min(size, there)
            return -(-length * 1000 // bytes_per_second) if bytes_per_second else None
        at += 8 + size + size % 2
    return None
