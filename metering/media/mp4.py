"""MP4 and M4A: `moov/mvhd` and each track's `mdhd` have a duration; AAC is counted by its samples of 1,024.

A fragmented file has its duration in `mehd`, and its samples in each fragment's runs.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from metering.media.length import Length, Overfull, length_of, ms_of

_OPEN = (0, 0xFFFFFFFF, 2**64 - 1)
_AAC_SAMPLES = 1_024
_AAC_RATES = (
    96_000,
    88_200,
    64_000,
    48_000,
    44_100,
    32_000,
    24_000,
    22_050,
    16_000,
    12_000,
    11_025,
    8_000,
    7_350,
)
_AAC_KINDS = frozenset({1, 2, 3, 4, 5, 29})
"""Those whose frames have 1,024 samples at the rate of their core; the high-efficiency ones double both."""
_CODECS_AT = 8
_SOUND_AT = 28
_AAC_OBJECT = 0x40
_TABLES = frozenset({b"stsd", b"stsz", b"stz2", b"elst"})
_EDITS_MAX = 2
"""Silence before the sound, and the sound."""
_BOXES_MAX = 200_000


@dataclass(frozen=True, slots=True)
class _Track:
    number: int
    stated_ms: int | None
    samples: int
    rate: int
    """Frames' own sample rate; 0 where the coding is another one than AAC."""


def mp4_length(file: bytes) -> Length | None:
    """The longest duration that is stated, and the length of the longest track where all are AAC."""
    stated = 0
    tracks: list[_Track] = []
    runs: dict[int, int] = {}
    for name, start, end in _boxes(file, 0, len(file)):
        if name == b"moov":
            found_ms, found = _movie(file, start, end)
            stated = max(stated, found_ms or 0)
            tracks += found
        elif name == b"moof":
            for number, samples in _runs(file, start, end):
                runs[number] = runs.get(number, 0) + samples
    stated = max([stated, *(track.stated_ms or 0 for track in tracks)])
    counted = [
        ms_of((track.samples + runs.get(track.number, 0)) * _AAC_SAMPLES, track.rate) for track in tracks
    ]
    known = [ms for ms in counted if ms is not None]
    return length_of(stated, max(known, default=None) if len(known) == len(counted) else None)


def _movie(file: bytes, start: int, end: int) -> tuple[int | None, list[_Track]]:
    scale = duration = 0
    tracks = []
    for name, begin, stop in _boxes(file, start, end):
        if name == b"mvhd":
            scale, duration = _header(file, begin)
        elif name == b"mvex" and duration in _OPEN:
            duration = _fragmented(file, begin, stop)
        elif name == b"trak" and (track := _track(file, begin, stop)) is not None:
            tracks.append(track)
    return (None if duration in _OPEN else ms_of(duration, scale)), tracks


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


def _track(file: bytes, start: int, end: int) -> _Track | None:
    """A track of sound; None for any other."""
    parts: dict[bytes, tuple[int, int]] = {}
    is_plain = True
    for name, place in _inside(file, start, end):
        # Which of two tables a player takes is its own affair.
        is_plain &= name not in parts or name not in _TABLES
        parts.setdefault(name, place)
    if (kind := parts.get(b"hdlr")) is None or file[kind[0] + 8 : kind[0] + 12] != b"soun":
        return None
    number = 0
    if (head := parts.get(b"tkhd")) is not None:
        number = struct.unpack_from(">I", file, head[0] + (20 if file[head[0]] == 1 else 12))[0]
    stated = None
    if (media := parts.get(b"mdhd")) is not None:
        scale, duration = _header(file, media[0])
        stated = None if duration in _OPEN else ms_of(duration, scale)
    # A list of edits may play the same samples again and again.
    if (edits := parts.get(b"elst")) is not None:
        is_plain &= struct.unpack_from(">I", file, edits[0] + 4)[0] <= _EDITS_MAX
    sizes = parts.get(b"stsz") or parts.get(b"stz2")
    samples = struct.unpack_from(">I", file, sizes[0] + 8)[0] if sizes is not None else 0
    codecs = parts.get(b"stsd")
    rate = _aac_rate(file, *codecs) if codecs is not None and is_plain else 0
    return _Track(number, stated, samples, rate)


def _inside(file: bytes, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """The boxes of a track, those of its media and tables among them."""
    for name, begin, stop in _boxes(file, start, end):
        if name in (b"mdia", b"minf", b"stbl", b"edts"):
            yield from _inside(file, begin, stop)
        else:
            yield name, (begin, stop)


def _aac_rate(file: bytes, start: int, end: int) -> int:
    """The rate that the one coding of a track states of itself; 0 where it is none of AAC, or there are several."""
    entries = list(_boxes(file, start + _CODECS_AT, end))
    if len(entries) != 1 or entries[0][0] != b"mp4a":
        return 0
    _, begin, stop = entries[0]
    for name, at, until in _boxes(file, begin + _SOUND_AT, stop):
        if name == b"esds":
            return _stream_rate(file[at + 4 : until])
    return 0


def _stream_rate(described: bytes) -> int:
    """From the descriptors (ISO 14496-1, 7.2.6): 3 holds 4, which says AAC and holds 5, the coder's own settings."""
    at, sizes = 0, {3: 3, 4: 13}
    while at < len(described):
        tag = described[at]
        at += 1
        while described[at] & 0x80:
            at += 1
        at += 1
        if tag == 4 and described[at] != _AAC_OBJECT:
            return 0
        if tag == 5:
            return _settings_rate(int.from_bytes(described[at : at + 5].ljust(5, b"\0")))
        if tag not in sizes:
            return 0
        at += sizes[tag]
    return 0


def _settings_rate(bits: int) -> int:
    """Of 40 bits: five for the kind, four for the rate, or those and the rate itself."""
    if bits >> 35 not in _AAC_KINDS:
        return 0
    place = bits >> 31 & 15
    if place == 15:
        return bits >> 7 & 0xFFFFFF
    return _AAC_RATES[place] if place < len(_AAC_RATES) else 0


def _runs(file: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Track and number of samples of each run of a fragment."""
    for name, begin, stop in _boxes(file, start, end):
        if name != b"traf":
            continue
        number = 0
        for inner, at, _ in _boxes(file, begin, stop):
            if inner == b"tfhd":
                number = struct.unpack_from(">I", file, at + 4)[0]
            elif inner == b"trun":
                yield number, struct.unpack_from(">I", file, at + 4)[0]


def _boxes(file: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the contents of each box."""
    count = 0
    while at + 8 <= end:
        count += 1
        if count > _BOXES_MAX:
            raise Overfull
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
