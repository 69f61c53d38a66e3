import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.media import audio_duration_ms


def wav(data: bytes, stated: int | None = None, extra: bytes = b"") -> bytes:
    form = struct.pack("<IHHIIHH", 16, 1, 1, 8_000, 16_000, 2, 16)
    size = len(data) if stated is None else stated
    return b"RIFF\0\0\0\0WAVEfmt " + form + extra + b"data" + struct.pack("<I", size) + data


def mp3_frame(size: int = 417) -> bytes:
    """MPEG 1, layer 3, 128 kbit/s, 44.1 kHz: 1,152 samples in 417 bytes."""
    return b"\xff\xfb\x90\x00" + b"\x00" * (size - 4)


def xing(frames: int) -> bytes:
    return b"\xff\xfb\x90\x00" + b"\x00" * 32 + b"Xing" + struct.pack(">II", 1, frames) + b"\x00" * 369


def flac(rate: int, samples: int) -> bytes:
    return b"fLaC\x00\x00\x00\x22" + b"\x00" * 10 + (rate << 44 | samples).to_bytes(8) + b"\x00" * 16


def ogg(packet: bytes, position: int, more: bytes = b"") -> bytes:
    first = b"OggS\x00\x02" + struct.pack("<Q", 0) + b"\x00" * 12 + b"\x01" + bytes([len(packet)]) + packet
    last = b"OggS\x00\x04" + struct.pack("<Q", position) + b"\x00" * 12 + b"\x00"
    return first + last + more


def opus(position: int, skipped: int = 312) -> bytes:
    return ogg(b"OpusHead\x01\x01" + struct.pack("<HI", skipped, 16_000) + b"\x00" * 3, position)


def vorbis(position: int, rate: int = 44_100) -> bytes:
    return ogg(b"\x01vorbis" + struct.pack("<IBI", 0, 2, rate) + b"\x00" * 14, position)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def mvhd(scale: int, duration: int, version: int = 0) -> bytes:
    times = ">QQIQ" if version else ">IIII"
    return box(b"mvhd", bytes([version, 0, 0, 0]) + struct.pack(times, 0, 0, scale, duration) + b"\x00" * 80)


def mp4(*inner: bytes) -> bytes:
    return box(b"ftyp", b"M4A \x00\x00\x00\x00") + box(b"moov", b"".join(inner))


def element(name: int, content: bytes) -> bytes:
    size = (1 << 28 | len(content)).to_bytes(4)
    return name.to_bytes((name.bit_length() + 7) // 8) + size + content


def webm(*inner: bytes) -> bytes:
    return element(0x1A45DFA3, b"") + element(0x18538067, b"".join(inner))


def cluster(at_ms: int, *blocks: int) -> bytes:
    made = b"".join(element(0xA3, b"\x81" + struct.pack(">hB", time, 0)) for time in blocks)
    return element(0x1F43B675, element(0xE7, at_ms.to_bytes(3)) + made)


@pytest.mark.parametrize(
    ("file", "length_ms"),
    [
        (wav(b"\0" * 16_000), 1_000),
        (wav(b"\0" * 16_001), 1_001),
        (wav(b"\0" * 16_000, extra=b"LIST\x03\0\0\0abc\0"), 1_000),
        # Some writers do not know the size when they write the header; none is heard that is not there.
        (wav(b"\0" * 16_000, stated=0xFFFFFFFF), 1_000),
        (wav(b"\0" * 16_000, stated=0), 1_000),
        (wav(b"\0" * 16_000, stated=10**6), 1_000),
        (flac(44_100, 44_100 * 3), 3_000),
        (opus(48_312), 1_000),
        (vorbis(44_100), 1_000),
        (mp4(mvhd(1_000, 5_000)), 5_000),
        (mp4(mvhd(48_000, 48_001, version=1)), 1_001),
        (mp4(mvhd(1_000, 0), box(b"mvex", box(b"mehd", struct.pack(">II", 0, 7_000)))), 7_000),
        (webm(element(0x1549A966, element(0x4489, struct.pack(">d", 2_500.0)))), 2_500),
        (webm(element(0x1549A966, element(0x2AD7B1, (10**6).to_bytes(3))), cluster(1_000, 0, 20, 40)), 1_040),
        (mp3_frame() * 100, -(-100 * 1_152 * 1_000 // 44_100)),
        (b"ID3\x04\x00\x00\x00\x00\x00\x05hello" + mp3_frame() * 10, -(-10 * 1_152 * 1_000 // 44_100)),
        (xing(1_000) + mp3_frame() * 3, -(-1_000 * 1_152 * 1_000 // 44_100)),
        (mp3_frame() * 4_000, -(-4_000 * 1_152 * 1_000 // 44_100)),
    ],
)
def test_each_container_tells_its_length(file: bytes, length_ms: int) -> None:
    assert audio_duration_ms(file) == length_ms


def test_a_wav_that_lies_about_the_bytes_of_a_second_is_as_long_as_it_plays() -> None:
    form = struct.pack("<IHHIIHH", 16, 1, 1, 8_000, 999_999, 2, 16)
    file = b"RIFF\0\0\0\0WAVEfmt " + form + b"data" + struct.pack("<I", 16_000) + b"\0" * 16_000

    assert audio_duration_ms(file) == 1_000


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
        b"noise" * 100,
        flac(44_100, 0),
        flac(0, 100),
        b"fLaC",
        b"OggS",
        ogg(b"\x80theora", 100),
        opus(2**64 - 1),
        vorbis(100, rate=0),
        mp4(mvhd(0, 100)),
        mp4(mvhd(1_000, 0xFFFFFFFF)),
        mp4(),
        mp4(mvhd(1, 2**31)),
        webm(),
        webm(element(0x1549A966, element(0x4489, struct.pack(">d", float("nan"))))),
        webm(element(0x1549A966, element(0x4489, struct.pack(">d", 1e300)))),
        b"\x1aE\xdf\xa3\x00",
        b"\xff\xfb\x00\x00" + b"\0" * 100,
        b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f",
    ],
)
def test_a_header_that_does_not_tell_gives_no_length(file: bytes) -> None:
    assert audio_duration_ms(file) is None


WHOLE = (
    wav(b"\0" * 50),
    flac(44_100, 1_000),
    opus(48_312),
    vorbis(44_100),
    mp4(mvhd(1_000, 5_000)),
    webm(element(0x1549A966, element(0x4489, struct.pack(">d", 2_500.0))), cluster(1_000, 0, 20)),
    xing(10) + mp3_frame() * 2,
)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(WHOLE), st.integers(0, 500), st.binary(max_size=12), st.integers(0, 1_000))
def test_a_damaged_file_never_breaks_a_reader(file: bytes, at: int, noise: bytes, end: int) -> None:
    found = audio_duration_ms((file[:at] + noise + file[at + len(noise) :])[:end])

    assert found is None or found > 0
