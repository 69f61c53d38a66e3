"""Ogg: the positions that pages state, and the packets in them (RFC 3533). Streams may follow one another in one file.

Opus packets say how long they are. Those of Vorbis do not; none of them plays more than half of a long block.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from metering.media import opus
from metering.media.length import Length, Overfull, length_of, ms_of

_NONE = 2**64 - 1
_FIRST = 2
"""The flag of the page that a stream starts with."""
_FULL = 255
_HEAD_BYTES = 64
_FEW = 1_000
_PART_BYTES_LEAST = 12
"""On average over a file; coders that talk at 6 kbit/s make packets of 15 bytes."""


@dataclass(slots=True)
class _Stream:
    head: bytes
    position: int | None = None
    packets: int = 0
    samples: int = 0
    is_open: bool = False
    """The last packet goes on in the next page."""


@dataclass(slots=True)
class _Streams:
    current: dict[int, _Stream] = field(default_factory=dict)
    all: list[_Stream] = field(default_factory=list)


def ogg_length(file: bytes) -> Length | None:
    """The lengths of all streams, one after the other; at most only where all are Opus or Vorbis."""
    streams = _Streams()
    parts = 0
    for at, lacing, start in _pages(file):
        parts += len(lacing)
        if parts > _FEW + len(file) // _PART_BYTES_LEAST:
            raise Overfull
        _page(file, at, lacing, start, streams)
    found = [_length(stream) for stream in streams.all]
    known = [length for length in found if length is not None]
    if not known or len(known) < len(found):
        return None
    proven = [length.most_ms for length in known if length.most_ms is not None]
    most_ms = sum(proven) if len(proven) == len(known) else None
    return Length(sum(length.ms for length in known), most_ms)


def _pages(file: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Where each page starts, the sizes of the parts in it, and where they start."""
    at = file.find(b"OggS")
    while at >= 0 and at + 27 <= len(file):
        start = at + 27 + file[at + 26]
        lacing = file[at + 27 : start]
        yield at, lacing, start
        behind = start + sum(lacing)
        at = behind if file.startswith(b"OggS", behind) else file.find(b"OggS", behind)


def _page(file: bytes, at: int, lacing: bytes, start: int, streams: _Streams) -> None:
    flags, position, serial = struct.unpack_from("<xBQI", file, at + 4)
    stream = streams.current.get(serial)
    if flags & _FIRST or stream is None:
        stream = _Stream(file[start : start + _HEAD_BYTES])
        streams.current[serial] = stream
        streams.all.append(stream)
    # A page on which no packet ends has no position.
    if position != _NONE:
        stream.position = position
    is_opus = stream.head.startswith(b"OpusHead")
    for part in lacing:
        if not stream.is_open:
            stream.packets += 1
            # The first two packets are headers.
            if is_opus and stream.packets > 2:
                stream.samples += opus.packet_samples(file[start : start + min(part, 2)])
        stream.is_open = part == _FULL
        start += part


def _length(stream: _Stream) -> Length | None:
    head, position = stream.head, stream.position
    if head.startswith(b"OpusHead"):
        skipped = struct.unpack_from("<H", head, 10)[0]
        stated = None if position is None else ms_of(max(0, position - skipped), opus.RATE)
        return length_of(stated, ms_of(stream.samples, opus.RATE))
    if head.startswith(b"\x01vorbis"):
        rate = struct.unpack_from("<I", head, 12)[0]
        stated = None if position is None else ms_of(position, rate)
        most = ms_of(max(0, stream.packets - 3) * (1 << (head[28] >> 4)) // 2, rate)
        found = length_of(stated, None)
        return found and Length(found.ms, max(found.ms, most or 0) if rate else None)
    if head.startswith(b"\x7fFLAC"):
        return length_of(
            None if position is None else ms_of(position, int.from_bytes(head[27:30]) >> 4), None
        )
    return None
