"""Undo the compression of an upstream that compresses although identity was asked for.

What is metered has to be read, and the client gets what was read: a body that needs no decoding. Works on pieces, so
that a compressed stream stays a stream. A coding that is not known here leaves the body as it is. A hundred bytes can
stand for as many megabytes, so what comes out is looked at piece by piece, and never made as a whole before it is known
to be of a size that fits.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import brotli
import zstandard

EXPANDED_BYTES_MAX = 512 * 1_048_576
_PIECE_BYTES = 1_048_576
_ZSTD_SLICE_BYTES = 1_024
"""Of coded bytes: at most some 32 MB decoded. Its library has no other way to bound what comes out."""
_GZIP_MAGIC = b"\x1f"


class CodingError(Exception):
    """The body is not what its content-encoding says, or far too large once decoded."""


class Decoder(Protocol):
    """Turns pieces of a coded body into pieces of the body."""

    def __call__(self, data: bytes) -> bytes: ...


def decoder_for(content_encoding: str) -> Decoder | None:
    """A decoder for a coded body; None where there is nothing to decode or the coding is unknown."""
    make = _CODINGS.get(content_encoding.strip().lower())
    return None if make is None else _Guarded(make())


def is_coded(content_encoding: str) -> bool:
    """Whether the body is compressed at all."""
    return content_encoding.strip().lower() not in ("", "identity")


_Pieces = Callable[[bytes], Iterator[bytes]]
"""From a part of a coded body to what it stands for, in pieces of a bounded size."""


class _Guarded:
    def __init__(self, decode: _Pieces) -> None:
        self._decode = decode
        self._expanded = 0

    def __call__(self, data: bytes) -> bytes:
        if not data:
            return b""
        pieces = []
        try:
            for piece in self._decode(data):
                self._expanded += len(piece)
                if self._expanded > EXPANDED_BYTES_MAX:
                    raise CodingError("the body is too large once it is decoded")
                pieces.append(piece)
        except (zlib.error, brotli.error, zstandard.ZstdError) as wrong:
            raise CodingError(str(wrong)) from wrong
        return b"".join(pieces)


def _gzip() -> _Pieces:
    """Some servers end a member with each flush and begin another; whatever else follows the last one is nothing."""
    # 32 more than the window's bits: the header tells gzip from zlib.
    member = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def decode(data: bytes) -> Iterator[bytes]:
        nonlocal member
        while data:
            if member.eof:
                if not data.startswith(_GZIP_MAGIC):
                    break
                member = zlib.decompressobj(zlib.MAX_WBITS | 32)
            yield from _inflated(member, data)
            data = member.unused_data

    return decode


def _deflate() -> _Pieces:
    """`deflate` is zlib by the book, and raw deflate from some servers: the first piece tells."""
    inner: list[zlib._Decompress] = []

    def decode(data: bytes) -> Iterator[bytes]:
        if not inner:
            is_zlib = data[0] & 0x0F == 8
            inner.append(zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS))
        yield from _inflated(inner[0], data)

    return decode


def _inflated(member: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """What a part of a member stands for; what comes behind its end stays in `unused_data`."""
    while True:
        piece = member.decompress(data, _PIECE_BYTES)
        data = member.unconsumed_tail
        yield piece
        if member.eof or len(piece) < _PIECE_BYTES:
            return


def _brotli() -> _Pieces:
    inner = brotli.Decompressor()

    def decode(data: bytes) -> Iterator[bytes]:
        # It says that it can take more although some of what it has taken is still to come out.
        piece = inner.process(data, output_buffer_limit=_PIECE_BYTES)
        while piece or not inner.can_accept_more_data():
            yield piece
            piece = inner.process(b"", output_buffer_limit=_PIECE_BYTES)

    return decode


def _zstd() -> _Pieces:
    inner = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)

    def decode(data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _ZSTD_SLICE_BYTES):
            yield inner.decompress(data[at : at + _ZSTD_SLICE_BYTES])

    return decode


_CODINGS = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd}
