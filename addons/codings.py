"""Undo the compression of an upstream that compresses although identity was asked for.

What is metered has to be read, and the client gets what was read: a body that needs no decoding. Works on pieces, so
that a compressed stream stays a stream. A coding that is not known here leaves the body as it is.
"""

import zlib
from collections.abc import Callable
from typing import Protocol

import brotli
import zstandard

EXPANDED_BYTES_MAX = 512 * 1_048_576
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


class _Guarded:
    def __init__(self, decode: Callable[[bytes], bytes]) -> None:
        self._decode = decode
        self._expanded = 0

    def __call__(self, data: bytes) -> bytes:
        if not data:
            return b""
        try:
            plain = self._decode(data)
        except (zlib.error, brotli.error, zstandard.ZstdError) as wrong:
            raise CodingError(str(wrong)) from wrong
        self._expanded += len(plain)
        if self._expanded > EXPANDED_BYTES_MAX:
            raise CodingError("the body is too large once it is decoded")
        return plain


def _gzip() -> Callable[[bytes], bytes]:
    """Some servers end a member with each flush and begin another; whatever else follows the last one is nothing."""
    # 32 more than the window's bits: the header tells gzip from zlib.
    member = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def decode(data: bytes) -> bytes:
        nonlocal member
        plain = []
        while data:
            if member.eof:
                if not data.startswith(_GZIP_MAGIC):
                    break
                member = zlib.decompressobj(zlib.MAX_WBITS | 32)
            plain.append(member.decompress(data))
            data = member.unused_data
        return b"".join(plain)

    return decode


def _deflate() -> Callable[[bytes], bytes]:
    """`deflate` is zlib by the book, and raw deflate from some servers: the first piece tells."""
    inner: list[Callable[[bytes], bytes]] = []

    def decode(data: bytes) -> bytes:
        if not inner:
            is_zlib = data[0] & 0x0F == 8
            inner.append(zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS).decompress)
        return inner[0](data)

    return decode


def _brotli() -> Callable[[bytes], bytes]:
    process: Callable[[bytes], bytes] = brotli.Decompressor().process
    return process


def _zstd() -> Callable[[bytes], bytes]:
    return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress


_CODINGS = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd}
