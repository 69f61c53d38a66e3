"""Request bodies, read once at the border and changed by splicing.

What another reader could understand differently is refused: text that is not UTF-8, a top-level key that appears twice,
nesting that some parser would not follow. JSON is checked on its skeleton, the brackets and commas outside of strings,
of which each pass removes the innermost level: as many passes as the body is deep, all in C.

A changed body keeps every byte but those of the changed value.
"""

import json
import re
from collections.abc import Mapping
from typing import NoReturn

import orjson

from metering.errors import BodyError
from metering.forms import Form, FormFile, parse_form

__all__ = [
    "DEPTH_MAX",
    "Form",
    "FormFile",
    "parse_form",
    "parse_object",
    "with_output_limit",
    "with_stream_usage",
]

DEPTH_MAX = 128

_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NEITHER_STRUCTURE_NOR_ESCAPE = bytes(byte for byte in range(256) if byte not in b'[]{},"\\/bfnrtu')
_NO_STRUCTURE = bytes(byte for byte in range(256) if byte not in b'[],"')
_INNERMOST = re.compile(rb"\[,*\]")
_NOT_AN_OBJECT = 'The request body must be a JSON object, such as {"model": "…"}.'


def parse_object(raw: bytes) -> dict[str, object]:
    """The object that a JSON body is. Raises BodyError with what to do about it."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = _parse_leniently(raw)
    if not isinstance(body, dict):
        raise BodyError(_NOT_AN_OBJECT)
    skeleton = _skeleton(raw)
    depth = 1
    while b"[" in skeleton:
        depth += 1
        if depth > DEPTH_MAX:
            raise BodyError(f"The request body is nested more than {DEPTH_MAX} levels deep; flatten it.")
        skeleton = _INNERMOST.sub(b"", skeleton)
    # Only the commas between the members of the object itself are left.
    if len(skeleton) + 1 > max(1, len(body)):
        raise BodyError(
            f"The request body has the key `{_repeated(raw)}` more than once; send each key once."
        )
    return body


def _skeleton(raw: bytes) -> bytes:
    """Brackets and commas outside of strings, without the outermost pair. The JSON is known to be valid.

    What can follow a backslash is kept until the escapes are gone, so that each still is followed by its own character.
    Two quotes side by side hold nothing between them, whichever string they belong to, and can go together.
    """
    marks = raw.translate(_BRACKETS, _NEITHER_STRUCTURE_NOR_ESCAPE)
    if b"\\" in marks:
        marks = marks.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = marks.translate(None, _NO_STRUCTURE).replace(b'""', b"")
    return b"".join(marks.split(b'"')[::2])[1:-1]


def _parse_leniently(raw: bytes) -> object:
    """What the fast parser refuses and yet is JSON: texts cut amid a surrogate pair, as JavaScript sends them."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise BodyError("The request body is not UTF-8; send it as UTF-8 encoded JSON.") from None
    if not text.strip():
        raise BodyError(f"The request body is empty. {_NOT_AN_OBJECT}")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise BodyError(
            f"The request body is nested more than {DEPTH_MAX} levels deep; flatten it."
        ) from None
    except ValueError as error:
        where = f" ({error.msg} at character {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        raise BodyError(f"The request body is not valid JSON{where}.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise BodyError(f"The request body contains {name}, which is not JSON; send a number or null.")


def _repeated(raw: bytes) -> str:
    """The first key that stands twice at the top."""
    pairs: list[tuple[str, object]] = []

    def keep(found: list[tuple[str, object]]) -> None:
        # Objects are reported from the inside out, so the last one is the body itself.
        pairs[:] = found

    json.loads(raw, object_pairs_hook=keep)
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key[:64]
        seen.add(key)
    return "?"


OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def with_stream_usage(raw: bytes, body: Mapping[str, object]) -> bytes:
    """The body with `stream_options.include_usage` true. `body` is what `raw` was parsed to."""
    options = body.get("stream_options")
    if not isinstance(options, dict):
        return _with_member(raw, body, "stream_options", b'{"include_usage":true}')
    if options.get("include_usage") is True:
        return raw
    start, end = _span(raw, "stream_options")
    changed = _with_member(raw[start:end], options, "include_usage", b"true")
    return raw[:start] + changed + raw[end:]


def with_output_limit(raw: bytes, body: Mapping[str, object], field: str, tokens: int) -> bytes:
    """The body with a top-level output limit of at most so many tokens.

    Other limits that the body states are lowered with it, since servers differ in which of them they obey; none is
    ever raised.
    """
    for name in OUTPUT_LIMITS:
        stated = body.get(name)
        over = stated > tokens if isinstance(stated, int) else name == field
        if over:
            raw = _with_member(raw, body, name, str(tokens).encode())
    return raw


def _with_member(raw: bytes, body: Mapping[str, object], key: str, value: bytes) -> bytes:
    if key in body:
        start, end = _span(raw, key)
        return raw[:start] + value + raw[end:]
    brace = raw.rindex(b"}")
    comma = b"," if body else b""
    return b"".join((raw[:brace], comma, b'"', key.encode(), b'":', value, raw[brace:]))


_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def _span(raw: bytes, key: str) -> tuple[int, int]:
    """Where the value of a top-level key starts and ends. The last one counts, as it does for parsers."""
    text = raw.decode()
    found = None
    at = _after_space(text, _after_space(text, 0) + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        if name == key:
            found = start, end
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    if found is None:
        raise KeyError(key)
    if text.isascii():
        return found
    return len(text[: found[0]].encode()), len(text[: found[1]].encode())


def _after_space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # No blanks match, too.
