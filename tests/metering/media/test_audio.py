"""How long audio files are, those that lie about it among them."""

import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.media import Length, audio_length
from tests.metering.media.sounds import (
    aac_track,
    box,
    cluster,
    codec,
    duration,
    element,
    flac,
    flac_frame,
    fragment,
    id3,
    mp3_frame,
    mp4,
    mvhd,
    ogg_flac,
    opus,
    page,
    vorbis,
    wav,
    webm,
    xing,
)

FRAME_MS = 1_152 * 1_000 / 44_100
A_SECOND_OF_FLAC = [flac_frame(number) for number in range(10)] + [flac_frame(10, size=3_140)]


def up(ms: float) -> int:
    return -int(-ms // 1)


@pytest.mark.parametrize(
    ("file", "ms", "most_ms"),
    [
        (wav(b"\0" * 16_000), 1_000, 1_000),
        (wav(b"\0" * 16_001), 1_001, 1_001),
        (wav(b"\0" * 16_000, extra=b"LIST\x03\0\0\0abc\0"), 1_000, 1_000),
        # Some writers do not know the size when they write the header; none is heard that is not there.
        (wav(b"\0" * 16_000, stated=0xFFFFFFFF), 1_000, 1_000),
        (wav(b"\0" * 16_000, stated=0), 1_000, 1_000),
        (wav(b"\0" * 16_000, stated=10**6), 1_000, 1_000),
        (wav(b"\0" * 8_000, coding=7, align=1, bits=8), 1_000, 1_000),
        (wav(b"\0" * 4_000, coding=0x11, align=256, bits=4), 1_000, 1_000),
        (flac(44_100, 44_100, *A_SECOND_OF_FLAC), 1_000, 1_000),
        # A coder that did not know how much would come.
        (flac(44_100, 0, *A_SECOND_OF_FLAC), 1_000, 1_000),
        (opus(48_312), 1_000, 1_000),
        (opus(47_000 + 312), 980, 1_000),
        (vorbis(44_100, packets=50), 1_000, up(50 * 1_024 / 44.1)),
        (mp4(mvhd(1_000, 1_000), aac_track(44)), 1_000, up(44 * 1_024 / 44.1)),
        (mp4(mvhd(1_000, 0), aac_track(0), behind=fragment(20) + fragment(24)), 1_000, up(44 * 1_024 / 44.1)),
        (webm(duration(1_000), codec(b"A_OPUS"), cluster(0, *range(0, 1_000, 20))), 1_000, 1_000),
        # Browsers know neither the duration nor the size of a cluster.
        (
            webm(codec(b"A_OPUS"), cluster(0, *range(0, 500, 20)), cluster(500, *range(0, 500, 20))),
            980,
            1_000,
        ),
        (mp3_frame() * 100, up(100 * FRAME_MS), up(100 * FRAME_MS)),
        (id3(b"hello") + mp3_frame() * 10, up(10 * FRAME_MS), up(10 * FRAME_MS)),
        (xing(100) + mp3_frame() * 100, up(100 * FRAME_MS), up(101 * FRAME_MS)),
        (mp3_frame() * 4_000, up(4_000 * FRAME_MS), up(4_000 * FRAME_MS)),
    ],
)
def test_each_container_tells_its_length_and_its_contents_prove_it(
    file: bytes, ms: int, most_ms: int
) -> None:
    assert audio_length(file) == Length(ms, most_ms)


@pytest.mark.parametrize(
    ("file", "least_ms"),
    [
        # Headers that say one second, or less.
        (wav(b"\0" * 160_000, align=100), 10_000),
        (wav(b"\0" * 160_000, bits=800), 10_000),
        (flac(44_100, 44_100, *A_SECOND_OF_FLAC * 10), 10_000),
        (flac(655_350, 44_100, *(flac_frame(n, rate_code=9) for n in range(100))), 9_287),
        (flac(655_350, 1, *(flac_frame(n, rate_code=12, more=b"\x08") for n in range(100))), 51_200),
        (opus(48_000, packets=500), 10_000),
        (mp4(mvhd(1_000, 1_000), aac_track(440)), 10_000),
        (mp4(mvhd(1_000, 1_000), aac_track(10), behind=fragment(430)), 10_000),
        (webm(duration(1_000), codec(b"A_OPUS"), cluster(0, *[0] * 500)), 10_000),
        (xing(38) + mp3_frame() * 500, 13_000),
        # Files one after another, which players play to the end.
        (mp3_frame() * 200 + b"TAG" + b"\0" * 125 + id3(b"\0" * 100) + mp3_frame() * 300, 13_000),
        (mp3_frame() * 200 + b"rubbish" + mp3_frame() * 300, 13_000),
        (opus(48_312) + opus(48_312, serial=2) + opus(48_312), 3_000),
        (flac(44_100, 44_100, *A_SECOND_OF_FLAC) * 3, 3_000),
        (webm(codec(b"A_OPUS"), cluster(0, *[0] * 100)) * 3, 6_000),
        # Many small frames behind a few large ones.
        (mp3_frame(14) * 2_100 + mp3_frame(1) * 4_000, up(6_100 * FRAME_MS)),
        # What no parser knows, before the next cluster.
        (webm(codec(b"A_OPUS"), cluster(0, 0), b"\0" * 50, cluster(0, *[0] * 500)), 10_000),
    ],
)
def test_a_file_that_says_less_than_it_holds_is_as_long_as_it_plays(file: bytes, least_ms: int) -> None:
    found = audio_length(file)

    assert found is not None
    assert found.most_ms is not None
    assert found.most_ms >= found.ms >= least_ms


def test_a_wav_that_says_a_second_is_bounded_by_all_that_follows() -> None:
    assert audio_length(wav(b"\0" * 160_000, stated=16_000)) == Length(1_000, 10_000)


@pytest.mark.parametrize(
    ("file", "ms"),
    [
        (wav(b"\0" * 16_000, coding=0x55), 1_000),
        (ogg_flac(44_100), 1_000),
        (mp4(mvhd(1_000, 5_000)), 5_000),
        (mp4(mvhd(48_000, 48_001, version=1)), 1_001),
        (mp4(mvhd(1_000, 0), box(b"mvex", box(b"mehd", struct.pack(">II", 0, 7_000)))), 7_000),
        (mp4(mvhd(1_000, 5_000), aac_track(44, codec=b"alac")), 5_000),
        # Of another kind of AAC, at a rate that there is not, with two tables of sizes, or edited again and again.
        (mp4(mvhd(1_000, 5_000), aac_track(44, settings=b"\xf9\x48")), 5_000),
        (mp4(mvhd(1_000, 5_000), aac_track(44, settings=b"\x17\x08")), 5_000),
        (mp4(mvhd(1_000, 5_000), aac_track(44, extra=box(b"stsz", b"\0" * 12))), 5_000),
        (
            mp4(
                mvhd(1_000, 5_000),
                aac_track(44, extra=box(b"edts", box(b"elst", struct.pack(">II", 0, 3)))),
            ),
            5_000,
        ),
        (webm(duration(2_500)), 2_500),
        (webm(codec(b"A_VORBIS"), cluster(1_000, 0, 20, 40)), 1_040),
        # Several packets in a block, or packets whose starts were cut off.
        (webm(duration(2_500), codec(b"A_OPUS"), cluster(0, 0, flags=0x04)), 2_500),
        (webm(duration(2_500), codec(b"A_OPUS"), element(0x6D80, b"\0"), cluster(0, 0)), 2_500),
    ],
)
def test_where_the_contents_cannot_be_counted_only_the_header_says_something(file: bytes, ms: int) -> None:
    assert audio_length(file) == Length(ms, None)


def test_much_in_an_mp3_that_is_no_frame_proves_nothing() -> None:
    assert audio_length(mp3_frame() * 100 + b"\x01" * 2_000_000) == Length(up(100 * FRAME_MS), None)


def test_a_packet_of_opus_says_how_many_frames_it_has() -> None:
    two, many = b"\x79" + b"\0" * 39, b"\x7b\x06" + b"\0" * 38
    file = opus(48_312, packets=1) + page(0, 2**64 - 1, two, many)

    found = audio_length(file)

    assert found is not None
    assert found.most_ms == 1_000  # The position of the last page.
    assert audio_length(file.replace(struct.pack("<Q", 48_312), struct.pack("<Q", 0))) == Length(180, 180)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
        b"noise" * 100,
        wav(b""),
        wav(b"\0" * 100, align=0, bits=0),
        flac(44_100, 0),
        flac(0, 100),
        b"fLaC",
        b"OggS",
        page(2, 0, b"\x80theora") + page(4, 100),
        opus(2**64 - 1, packets=0),
        vorbis(100, rate=0),
        mp4(mvhd(0, 100)),
        mp4(mvhd(1_000, 0xFFFFFFFF)),
        mp4(),
        mp4(mvhd(1, 2**31)),
        webm(),
        webm(duration(float("nan"))),
        webm(duration(1e300)),
        b"\x1aE\xdf\xa3\x00",
        b"\xff\xfb\x00\x00" + b"\0" * 100,
        b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f",
    ],
)
def test_a_header_that_does_not_tell_gives_no_length(file: bytes) -> None:
    assert audio_length(file) is None


@pytest.mark.parametrize(
    "file",
    [
        b"\xff\xfb\x00\x00" + b"\xff" * 4_000_000,
        flac(44_100, 44_100) + b"\xff\xf8" * 2_000_000,
        opus(48_312) + page(0, 0, *[b"\x01"] * 255) * 20_000,
        webm(codec(b"A_OPUS"), b"\xa3\x80" * 2_000_000),
        webm(codec(b"A_OPUS"), b"\x1f\x43\xb6\x75" * 1_000_000),
        mp4(b"\0\0\0\x08free" * 500_000),
        mp4(box(b"trak", b"".join([struct.pack(">I4s", 2**31, b"mdia")] * 100_000))),
    ],
)
def test_a_file_that_is_made_to_be_counted_is_given_up(file: bytes) -> None:
    started = time.process_time()

    assert audio_length(file) is None
    assert time.process_time() - started < 10


WHOLE = (
    wav(b"\0" * 50),
    flac(44_100, 44_100, *A_SECOND_OF_FLAC[:2]),
    opus(48_312, packets=5),
    vorbis(44_100, packets=2),
    mp4(mvhd(1_000, 5_000), aac_track(5), behind=fragment(2)),
    webm(duration(2_500), codec(b"A_OPUS"), cluster(0, 0, 20)),
    xing(10) + mp3_frame() * 2,
)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(WHOLE), st.integers(0, 500), st.binary(max_size=12), st.integers(0, 1_000))
def test_a_damaged_file_never_breaks_a_reader(file: bytes, at: int, noise: bytes, end: int) -> None:
    found = audio_length((file[:at] + noise + file[at + len(noise) :])[:end])

    assert found is None or 0 < found.ms <= (found.most_ms or found.ms)
