"""MP4 and M4A: `moov/mvhd` has duration and timescale; a fragmented file has its duration in `mehd`, or in each fragment's runs."""

import struct
from collections.abc import Iterator

_OPEN = (0, 0xFFFFFFFF, 2**64 - 1)


def mp4_ms(file: bytes) -> int | None:
    """Duration in milliseconds, rounded up."""
    scale = duration = 0
    for name, start, end in _boxes(file, 0, len(file)):
        if name != b"moov":
            continue
        for inner, begin, stop in _boxes(file, start, end):
            if inner == b"mvhd":
                scale, duration = _header(file, begin)
            elif inner == b"mvex" and duration in _OPEN:
                duration = _fragmented(file, begin, stop)
    return -(-duration * 1000 // scale) if scale and duration not in _OPEN else None


def _header(file: bytes, at: int) -> tuple[int, int]:
    layout, skip = (">IQ", 20) if file[at] == 1 else (">II", 12)
    scale, duration = struct.unpack_from(layout, file, at + skip)
    return scale, duration


def _fragmented(file: bytes, start: int, end: int) -> int:
    for name, begin, _ in _boxes(file, start, end):
        if name == b"mehd":
            layout = ">Q" if file[begin] == 1 else ">I"
            return int(struct.unpack_from(layout, file, begin + 4)[0])
    return 0


def _boxes(file: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the contents of each box."""
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", file, at)
        start = at + 8
        if size == 1:
            size = struct.unpack_from(">Q", file, start)[0]
            start += 8
        elif size == 0:
            size = end - at
        if size < start - at:
            return
        yield name, start, min(at + size, end)
        at += size
