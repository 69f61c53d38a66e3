"""MP3: frames counted in the Xing, Info or VBRI header, or else frame by frame.

A file whose frames all have one bit rate is measured by its size after a sample of them agreed.
"""

import struct

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
_FRAMES_SAMPLED = 2_000
_SEARCH_BYTES = 65_536


def mp3_ms(file: bytes) -> int | None:
    """Duration in milliseconds, rounded up."""
    at = _after_tag(file)
    found = _first_frame(file, at)
    if found is None:
        return None
    at, (size, samples, rate) = found
    frames = _stated_frames(file, at, size)
    if frames is not None:
        return -(-frames * samples * 1000 // rate)
    counted, heard, position = 0, 0, at
    while counted < _FRAMES_SAMPLED and (frame := _frame(file, position)) is not None:
        position += frame[0]
        heard += frame[1]
        counted += 1
    # Beyond the sample, the rest is taken to be as dense as the sample was.
    total = heard * (len(file) - at) // (position - at) if counted == _FRAMES_SAMPLED else heard
    return -(-total * 1000 // rate)


def _after_tag(file: bytes) -> int:
    """Where audio starts: behind an ID3 tag, whose size is written in seven bits a byte."""
    if file[:3] != b"ID3" or len(file) < 10:
        return 0
    size = 0
    for byte in file[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if file[5] & 0x10 else 0)


def _first_frame(file: bytes, at: int) -> tuple[int, tuple[int, int, int]] | None:
    """The first frame that another one follows, or that ends the file."""
    end = min(len(file), at + _SEARCH_BYTES)
    while (at := file.find(b"\xff", at, end)) >= 0:
        frame = _frame(file, at)
        if frame is not None:
            behind = at + frame[0]
            if behind >= len(file) or _frame(file, behind) is not None:
                return at, frame
        at += 1
    return None


def _frame(file: bytes, at: int) -> tuple[int, int, int] | None:
    """Bytes, samples and sample rate of the frame that starts here."""
    if at + 4 > len(file):
        return None
    word = struct.unpack_from(">I", file, at)[0]
    version, layer = word >> 19 & 3, word >> 17 & 3
    bits, frequency, padding = word >> 12 & 15, word >> 10 & 3, word >> 9 & 1
    if word >> 21 != 0x7FF or version == 1 or layer == 0 or bits in (0, 15) or frequency == 3:
        return None
    first = version == 3
    rate = _RATES[version][frequency]
    bits_per_second = _KBPS[first, layer][bits - 1] * 1000
    if layer == 3:
        return (12 * bits_per_second // rate + padding) * 4, 384, rate
    samples = 576 if layer == 1 and not first else 1152
    return samples // 8 * bits_per_second // rate + padding, samples, rate


def _stated_frames(file: bytes, at: int, size: int) -> int | None:
    """The count of frames in a header that encoders write into an otherwise silent first frame."""
    frame = file[at : at + max(size, 64)]
    for mark in (b"Xing", b"Info"):
        place = frame.find(mark, 4, 48)
        if place > 0 and struct.unpack_from(">I", frame, place + 4)[0] & 1:
            return int(struct.unpack_from(">I", frame, place + 8)[0]) or None
    if frame[36:40] == b"VBRI":
        return int(struct.unpack_from(">I", frame, 50)[0]) or None
    return None
