"""FLAC: samples and sample rate stand in the first metadata block, and each frame says its own again (RFC 9639).

Frames are found by their sync code and the checksum of their header. A sound that happens to look like one only makes
the count longer.
"""

import re

from metering.media.length import Length, Overfull, length_of, ms_of

_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_RATES = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
_FRAME_BYTES_LEAST = 64
"""On average over a file. Less is silence without end, which nobody has to transcribe."""
_FEW = 1_000


def flac_length(file: bytes) -> Length | None:
    """The length by the first block, and that of all frames."""
    if len(file) < 26 or file[4] & 0x7F:
        return None
    packed = int.from_bytes(file[18:26])
    rate, samples = packed >> 44, packed & 0xFFFFFFFFF
    # Zero samples: the coder did not know how many would come.
    return length_of(ms_of(samples, rate), _counted_ms(file, rate))


def _counted_ms(file: bytes, rate: int) -> int | None:
    by_rate: dict[int, int] = {}
    frames = 0
    for looked, sync in enumerate(_SYNC.finditer(file, 42)):
        if looked > _FEW + len(file) // _FRAME_BYTES_LEAST:
            raise Overfull
        found = _frame(file[sync.start() : sync.start() + 16], rate)
        if found is not None:
            frames += 1
            by_rate[found[0]] = by_rate.get(found[0], 0) + found[1]
    if not frames or 0 in by_rate:
        return None
    return sum(ms_of(samples, of_rate) or 0 for of_rate, samples in by_rate.items())


def _frame(start: bytes, rate: int) -> tuple[int, int] | None:
    """Sample rate and samples of the frame that starts here; None where none does."""
    if len(start) < 6 or start[3] & 1 or start[4] == 0xFF:
        return None
    size_code, rate_code = start[2] >> 4, start[2] & 15
    if size_code == 0 or rate_code == 15:
        return None
    # The number of the frame is written like a character of UTF-8, of up to seven bytes.
    at = 4 + (1 if start[4] < 0x80 else 8 - (start[4] ^ 0xFF).bit_length())
    more = size_code - 5 if size_code in (6, 7) else 0
    size = int.from_bytes(start[at : at + more]) + 1
    at += more
    more = (0, 1, 2, 2)[max(0, rate_code - 11)]
    own_rate = int.from_bytes(start[at : at + more]) * (1, 1_000, 1, 10)[max(0, rate_code - 11)]
    at += more
    if at >= len(start) or _checksum(start[:at]) != start[at]:
        return None
    if size_code not in (6, 7):
        size = 192 if size_code == 1 else 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    return own_rate or (_RATES[rate_code] if rate_code < 12 else 0) or rate, size


def _checksum(header: bytes) -> int:
    value = 0
    for byte in header:
        value = _CHECKSUMS[value ^ byte]
    return value


def _shifted(byte: int) -> int:
    for _ in range(8):
        byte = (byte << 1 ^ (0x07 if byte & 0x80 else 0)) & 0xFF
    return byte


_CHECKSUMS = tuple(_shifted(byte) for byte in range(256))
