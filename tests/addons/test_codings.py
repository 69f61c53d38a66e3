"""Compressed answers of upstreams that were asked for identity."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from addons import codings
from addons.codings import CodingError, decoder_for, is_coded

BOMB_BYTES = 64 * 1_048_576
PLAIN = b'{"usage": {"prompt_tokens": 3}} ' * 50


def _raw_deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(data) + coder.flush()


CODED = {
    "gzip": gzip.compress(PLAIN, mtime=0),
    "x-gzip": gzip.compress(PLAIN, mtime=0),
    " GZIP ": gzip.compress(PLAIN, mtime=0),
    "deflate": zlib.compress(PLAIN),
    "br": brotli.compress(PLAIN),
    "zstd": zstandard.compress(PLAIN),
}


@pytest.mark.parametrize(("coding", "coded"), [*CODED.items(), ("deflate", _raw_deflate(PLAIN))])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_coded_body_is_decoded_in_any_pieces(coding: str, coded: bytes, size: int) -> None:
    decode = decoder_for(coding)
    assert decode is not None

    plain = b"".join(decode(coded[at : at + size]) for at in range(0, len(coded), size))

    assert plain == PLAIN


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_is_not_what_it_says_is_an_error(coding: str) -> None:
    decode = decoder_for(coding)
    assert decode is not None

    with pytest.raises(CodingError):
        decode(b"\xffthis is no coded body at all, whoever looks at it")


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)], ids=["gzip", "zstd"]
)
def test_a_coded_body_in_several_members_is_decoded_to_its_end(
    coding: str, compress: Callable[[bytes], bytes], size: int
) -> None:
    coded = compress(PLAIN) + compress(b"and more")
    decode = decoder_for(coding)
    assert decode is not None

    plain = b"".join(decode(coded[at : at + size]) for at in range(0, len(coded), size))

    assert plain == PLAIN + b"and more"


def test_padding_behind_a_coded_body_is_nothing() -> None:
    decode = decoder_for("gzip")
    assert decode is not None

    assert decode(CODED["gzip"] + bytes(16)) + decode(bytes(3)) == PLAIN


def test_a_body_may_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings, "EXPANDED_BYTES_MAX", 1_000)
    decode = decoder_for("gzip")
    assert decode is not None

    with pytest.raises(CodingError):
        decode(CODED["gzip"])


@pytest.mark.parametrize(
    ("coding", "bomb"),
    [
        ("gzip", gzip.compress(bytes(BOMB_BYTES), 1)),
        ("deflate", zlib.compress(bytes(BOMB_BYTES), 1)),
        ("br", brotli.compress(bytes(BOMB_BYTES), quality=1)),
        ("zstd", zstandard.compress(bytes(BOMB_BYTES))),
    ],
    ids=["gzip", "deflate", "br", "zstd"],
)
def test_a_body_that_grows_too_much_is_given_up_before_it_is_made(
    monkeypatch: pytest.MonkeyPatch, coding: str, bomb: bytes
) -> None:
    monkeypatch.setattr(codings, "EXPANDED_BYTES_MAX", 2 * 1_048_576)
    decode = decoder_for(coding)
    assert decode is not None

    tracemalloc.start()
    with pytest.raises(CodingError):
        decode(bomb)
    most_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert most_bytes < BOMB_BYTES


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_large_body_is_decoded_whole(coding: str) -> None:
    plain = b"".join(b"%d " % number for number in range(300_000))
    compress: dict[str, Callable[[bytes], bytes]] = {
        "gzip": lambda data: gzip.compress(data, 1),
        "deflate": lambda data: zlib.compress(data, 1),
        "br": lambda data: brotli.compress(data, quality=1),
        "zstd": zstandard.compress,
    }
    decode = decoder_for(coding)
    assert decode is not None

    assert decode(compress[coding](plain)) == plain


def test_identity_is_no_coding_and_an_unknown_one_has_no_decoder() -> None:
    assert not is_coded("")
    assert not is_coded("Identity")
    assert is_coded("rot13")
    assert decoder_for("rot13") is None
    assert decoder_for("gzip, br") is None
