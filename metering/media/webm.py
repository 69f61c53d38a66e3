"""WebM and Matroska: `Segment/Info/Duration` in units of `TimestampScale`.

Browsers record without knowing the duration; then the last cluster or block that tells its time is the best there
is, which is short by less than that cluster.
"""

import struct
from collections.abc import Iterator

_SEGMENT, _INFO, _CLUSTER = 0x18538067, 0x1549A966, 0x1F43B675
_SCALE, _DURATION, _TIMESTAMP = 0x2AD7B1, 0x4489, 0xE7
_BLOCK, _BLOCK_GROUP, _INNER_BLOCK = 0xA3, 0xA0, 0xA1
_MILLISECOND_NS = 1_000_000


def webm_ms(file: bytes) -> int | None:
    """Duration in milliseconds, rounded up."""
    scale_ns = _MILLISECOND_NS
    last = 0
    for segment, begin, stop in _elements(file, 0, len(file)):
        if segment != _SEGMENT:
            continue
        for element, start, end in _elements(file, begin, stop):
            if element == _INFO:
                scale_ns, duration = _info(file, start, end)
                if duration is not None:
                    return duration
            elif element == _CLUSTER:
                last = max(last, _cluster(file, start, end))
    return -(-last * scale_ns // _MILLISECOND_NS) or None


def _info(file: bytes, start: int, end: int) -> tuple[int, int | None]:
    scale_ns = _MILLISECOND_NS
    units = None
    for element, begin, stop in _elements(file, start, end):
        if element == _SCALE:
            scale_ns = int.from_bytes(file[begin:stop]) or _MILLISECOND_NS
        elif element == _DURATION and stop - begin in (4, 8):
            units = struct.unpack_from(">f" if stop - begin == 4 else ">d", file, begin)[0]
    if units is None or not 0 < units < 1e15:
        return scale_ns, None
    return scale_ns, int(-(-units * scale_ns // _MILLISECOND_NS))


def _cluster(file: bytes, start: int, end: int) -> int:
    """The time of the last block of a cluster, in units."""
    base = last = 0
    for element, begin, stop in _elements(file, start, end):
        if element == _TIMESTAMP:
            base = int.from_bytes(file[begin:stop])
        elif element == _BLOCK:
            last = max(last, _block_time(file, begin))
        elif element == _BLOCK_GROUP:
            for inner, at, _ in _elements(file, begin, stop):
                if inner == _INNER_BLOCK:
                    last = max(last, _block_time(file, at))
    return base + last


def _block_time(file: bytes, at: int) -> int:
    _, track = _number(file, at)
    return int(struct.unpack_from(">h", file, at + track)[0])


def _elements(file: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Name, start and end of the contents of each element; one of unknown size reaches to its parent's end."""
    while at < end:
        width = 9 - file[at].bit_length()
        if width > 4:
            return
        name = int.from_bytes(file[at : at + width])
        size, length = _number(file, at + width)
        start = at + width + length
        stop = end if size is None else start + size
        # Clusters of unknown size are flat in this reading: what follows one is read as part of it.
        yield name, start, min(stop, end)
        at = stop


def _number(file: bytes, at: int) -> tuple[int | None, int]:
    """A number of variable length and that length; None where all its bits are ones, which means unknown."""
    width = 9 - file[at].bit_length()
    if width > 8:
        raise ValueError("not a number")
    bits = int.from_bytes(file[at : at + width]) & ((1 << 7 * width) - 1)
    return (None if bits == (1 << 7 * width) - 1 else bits), width
