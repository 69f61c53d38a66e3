import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.media import image_size

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 640, 480)
GIF = b"GIF89a" + struct.pack("<HH", 640, 480)
BMP = b"BM" + b"\0" * 16 + struct.pack("<ii", 640, -480)
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc4\x00\x04\x00\x00\xff\xc2\x00\x11\x08" + struct.pack(">HH", 480, 640) + b"\x03" + b"\0" * 9
)
WEBP_X = (
    b"RIFF\0\0\0\0WEBPVP8X"
    + struct.pack("<II", 10, 0)
    + (639).to_bytes(3, "little")
    + (479).to_bytes(3, "little")
)
WEBP_L = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 639 | 479 << 14)
WEBP = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480)
WHOLE = (PNG, GIF, BMP, JPEG, WEBP_X, WEBP_L, WEBP)


@pytest.mark.parametrize("file", WHOLE)
def test_each_format_tells_its_size(file: bytes) -> None:
    assert image_size(file) == (640, 480)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"noise" * 50,
        PNG[:20],
        PNG[:16] + b"\x00" * 8,
        GIF[:7],
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\xff" * 8,
        b"\xff\xd8\xff\xd9",
        WEBP_X[:20],
    ],
)
def test_what_does_not_tell_has_no_size(file: bytes) -> None:
    assert image_size(file) is None


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(WHOLE), st.integers(0, 60), st.binary(max_size=8), st.integers(0, 80))
def test_a_damaged_file_never_breaks_the_reader(file: bytes, at: int, noise: bytes, end: int) -> None:
    found = image_size((file[:at] + noise + file[at + len(noise) :])[:end])

    assert found is None or all(0 < side <= 1_000_000 for side in found)
