"""WAV: the size of the data over the bytes of a second. Some writers leave the size open until the end: then the file's own counts."""

import struct

_OPEN = 0xFFFFFFFF


def wav_ms(file: bytes) -> int | None:
    """Duration in milliseconds, rounded up."""
    at = 12
    bytes_per_second = 0
    while at + 8 <= len(file):
        name = file[at : at + 4]
        size = struct.unpack_from("<I", file, at + 4)[0]
        if name == b"fmt ":
            bytes_per_second = struct.unpack_from("<I", file, at + 16)[0]
        elif name == b"data":
            there = len(file) - at - 8
            # What is not in the file cannot be heard, whatever its header says.
            length = there if size in (0, _OPEN) else min(size, there)
            return -(-length * 1000 // bytes_per_second) if bytes_per_second else None
        at += 8 + size + size % 2
    return None
