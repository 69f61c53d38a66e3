"""MP3: its frames, counted. The count in a Xing, Info or VBRI header is only what the file says of itself.

Players look for the next frame behind whatever is none: tags between files that were put together, damage, rubbish. So
does this.
"""

import struct

from metering.media.length import Length, Overfull, length_of, ms_of

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Sample rates by the version's bits: MPEG 1, 2 and 2.5."""
_KBPS = {
    (True, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by (MPEG 1 or not, the layer's bits)."""
_SYNC = b"\xff"
_HEADER_BITS_KEPT = 9
"""What stands behind them in a header, the channels and the like, says nothing of the length."""
_STRANGE_BYTES = 1_048_576
_STRANGE_SHARE = 4
_SEARCHES_MAX = 100_000


def mp3_length(file: bytes) -> Length | None:
    """The length of all frames."""
    start = at = _after_tag(file)
    counts: dict[int, int] = {}
    end = len(file) - 4
    accounted = 0
    is_synced = False
    searches = 0
    while 0 <= at <= end:
        key = int.from_bytes(file[at : at + 4]) >> _HEADER_BITS_KEPT
        frame = _FRAMES.get(key)
        if frame is not None and (is_synced or _goes_on(file, at + frame[0])):
            counts[key] = counts.get(key, 0) + 1
            accounted += frame[0]
            at += frame[0]
            is_synced = True
            continue
        searches += 1
        if searches > _SEARCHES_MAX:
            raise Overfull
        tag = _after_tag(file, at) if is_synced else at
        accounted += tag - at
        at = file.find(_SYNC, tag if tag > at else at + 1)
        is_synced = False
    if not counts:
        return None
    # Much that is neither frame nor tag is something that a player may know and this does not.
    is_known = len(file) - start - accounted <= max(_STRANGE_BYTES, len(file) // _STRANGE_SHARE)
    by_rate: dict[int, int] = {}
    for key, count in counts.items():
        _, samples, rate = _FRAMES[key]
        by_rate[rate] = by_rate.get(rate, 0) + count * samples
    counted = sum(ms_of(samples, rate) or 0 for rate, samples in by_rate.items())
    return length_of(_stated_ms(file, start), counted) if is_known else Length(counted, None)


def _after_tag(file: bytes, at: int = 0) -> int:
    """Where audio starts: behind an ID3 tag, whose size is written in seven bits a byte."""
    if file[at : at + 3] != b"ID3" or len(file) < at + 10:
        return at
    size = 0
    for byte in file[at + 6 : at + 10]:
        size = size << 7 | byte & 0x7F
    return at + 10 + size + (10 if file[at + 5] & 0x10 else 0)


def _goes_on(file: bytes, at: int) -> bool:
    """Whether a frame ends here: another one follows, a tag does, or the file is at its end."""
    if at + 4 > len(file):
        return True
    return int.from_bytes(file[at : at + 4]) >> _HEADER_BITS_KEPT in _FRAMES or file[at : at + 3] in (
        b"TAG",
        b"ID3",
    )


def _frame(word: int) -> tuple[int, int, int] | None:
    """Bytes, samples and sample rate of the frame with this header."""
    version, layer = word >> 19 & 3, word >> 17 & 3
    bits, frequency, padding = word >> 12 & 15, word >> 10 & 3, word >> 9 & 1
    if version == 1 or layer == 0 or bits in (0, 15) or frequency == 3:
        return None
    first = version == 3
    rate = _RATES[version][frequency]
    bits_per_second = _KBPS[first, layer][bits - 1] * 1000
    if layer == 3:
        return (12 * bits_per_second // rate + padding) * 4, 384, rate
    samples = 576 if layer == 1 and not first else 1152
    return samples // 8 * bits_per_second // rate + padding, samples, rate


_SYNC_BITS = 0x7FF << 21
_FRAMES = {
    key: frame
    for key in range(_SYNC_BITS >> _HEADER_BITS_KEPT, 1 << 32 - _HEADER_BITS_KEPT)
    if (frame := _frame(key << _HEADER_BITS_KEPT)) is not None
}
"""Every frame that there is, by what its header says of its length."""


def _stated_ms(file: bytes, start: int) -> int | None:
    """By the count of frames in a header that encoders write into an otherwise silent first frame."""
    at = file.find(_SYNC, start)
    found = _FRAMES.get(int.from_bytes(file[at : at + 4]) >> _HEADER_BITS_KEPT) if at >= 0 else None
    if found is None:
        return None
    size, samples, rate = found
    frame = file[at : at + max(size, 64)]
    frames = 0
    for mark in (b"Xing", b"Info"):
        place = frame.find(mark, 4, 48)
        if place > 0 and place + 12 <= len(frame) and struct.unpack_from(">I", frame, place + 4)[0] & 1:
            frames = struct.unpack_from(">I", frame, place + 8)[0]
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        frames = struct.unpack_from(">I", frame, 50)[0]
    return ms_of(frames * samples, rate)
