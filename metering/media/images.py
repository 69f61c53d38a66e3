"""How large an image is: PNG, GIF, WebP, JPEG and BMP state it near their start."""

import struct

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers that start a frame; the others in their range define tables."""


def image_size(start: bytes) -> tuple[int, int] | None:
    """Width and height in pixels from a file's first bytes; None where they do not tell. Never raises."""
    try:
        found = _read(start)
    except (struct.error, IndexError):
        return None
    return found if found is not None and all(0 < side <= 1_000_000 for side in found) else None


def _read(start: bytes) -> tuple[int, int] | None:
    if start[:8] == b"\x89PNG\r\n\x1a\n":
        width, height = struct.unpack_from(">II", start, 16)
        return width, height
    if start[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack_from("<HH", start, 6)
        return width, height
    if start[:2] == b"BM":
        width, height = struct.unpack_from("<ii", start, 18)
        return width, abs(height)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return _webp(start)
    if start[:2] == b"\xff\xd8":
        return _jpeg(start)
    return None


def _webp(start: bytes) -> tuple[int, int] | None:
    kind = start[12:16]
    if kind == b"VP8X" and len(start) >= 30:
        return 1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(start[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", start, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", start, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(start: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(start):
        if start[at] != 0xFF:
            return None
        marker = start[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", start, at + 5)
            return width, height
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", start, at + 2)[0]
    return None
