"""WebM and Matroska: `Segment/Info/Duration` in units of `TimestampScale`, and the blocks themselves where they are Opus.

Browsers record without knowing the duration or the size of a cluster; then the last block that tells its time is the best
there is. So the elements are read flat, without asking which of them ends where.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from metering.media import opus
from metering.media.length import Length, Overfull, length_of, ms_of

_SEGMENT, _INFO, _CLUSTER, _TRACKS, _TRACK = 0x18538067, 0x1549A966, 0x1F43B675, 0x1654AE6B, 0xAE
_SCALE, _DURATION, _TIMESTAMP, _CODEC, _ENCODINGS = 0x2AD7B1, 0x4489, 0xE7, 0x86, 0x6D80
_SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0xA3, 0xA0, 0xA1
_OPENED = frozenset({_SEGMENT, _INFO, _CLUSTER, _TRACKS, _TRACK, _BLOCK_GROUP})
_CLUSTER_BYTES = _CLUSTER.to_bytes(4)
_MILLISECOND_NS = 1_000_000
_LACED = 0x06
_FEW = 1_000
_ELEMENT_BYTES_LEAST = 32
"""On average over a file: a block of 20 milliseconds at 10 kbit/s."""
_ELEMENTS_MAX = 500_000
"""Three hours of such blocks; more takes seconds to walk through."""


@dataclass(slots=True)
class _Found:
    scale_ns: int = _MILLISECOND_NS
    units: float = 0
    """The duration that is stated."""
    codecs: list[bytes] = field(default_factory=list)
    cluster: int = 0
    last: int = 0
    samples: int = 0
    is_obscure: bool = False
    """Blocks hold several packets, or no whole ones."""


def webm_length(file: bytes) -> Length | None:
    """The length by the duration or the last block, and that of all packets of Opus."""
    found = _Found()
    for count, (element, begin, stop) in enumerate(_elements(file)):
        if count > min(_FEW + len(file) // _ELEMENT_BYTES_LEAST, _ELEMENTS_MAX):
            raise Overfull
        _see(file, element, begin, stop, found)
    units = found.units if 0 < found.units < 1e15 else found.last
    stated = int(-(-units * found.scale_ns // _MILLISECOND_NS))
    is_opus = set(found.codecs) == {b"A_OPUS"} and not found.is_obscure
    return length_of(stated, ms_of(found.samples, opus.RATE) if is_opus else None)


def _see(file: bytes, element: int, begin: int, stop: int, found: _Found) -> None:
    if element in (_SIMPLE_BLOCK, _BLOCK):
        _, width = _number(file, begin)
        time, flags = struct.unpack_from(">hB", file, begin + width)
        start = begin + width + 3
        found.last = max(found.last, found.cluster + time)
        found.is_obscure |= bool(flags & _LACED)
        found.samples += opus.packet_samples(file[start : min(start + 2, stop)])
    elif element == _TIMESTAMP:
        found.cluster = int.from_bytes(file[begin:stop])
    elif element == _SCALE:
        found.scale_ns = int.from_bytes(file[begin:stop]) or _MILLISECOND_NS
    elif element == _DURATION and stop - begin in (4, 8):
        found.units = struct.unpack_from(">f" if stop - begin == 4 else ">d", file, begin)[0]
    elif element == _ENCODINGS:
        found.is_obscure = True
    elif element == _CODEC:
        found.codecs.append(file[begin:stop].rstrip(b"\0"))


def _elements(file: bytes) -> Iterator[tuple[int, int, int]]:
    """Name, start and end of the contents of each element that holds no others that matter.

    Behind what is no element, players look for the next cluster.
    """
    at = 0
    while 0 <= at < len(file):
        try:
            width = 9 - file[at].bit_length()
            name = int.from_bytes(file[at : at + width])
            size, length = _number(file, at + width)
        except (IndexError, ValueError):
            size, length, name, width = None, 0, 0, 9
        if width > 4 or (size is None and name not in _OPENED):
            at = file.find(_CLUSTER_BYTES, at + 1)
            continue
        start = at + width + length
        if name in _OPENED:
            at = start
            continue
        stop = start + (size or 0)
        yield name, start, min(stop, len(file))
        at = stop


def _number(file: bytes, at: int) -> tuple[int | None, int]:
    """A number of variable length and that length; None where all its bits are ones, which means unknown."""
    width = 9 - file[at].bit_length()
    if width > 8:
        raise ValueError("not a number")
    bits = int.from_bytes(file[at : at + width]) & ((1 << 7 * width) - 1)
    return (None if bits == (1 << 7 * width) - 1 else bits), width
