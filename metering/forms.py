"""Multipart forms. A text that decides the cost must stand there once; files keep the order in which they came."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from metering.errors import BodyError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_PARTS_MAX = 1_024
_FIELD_BYTES_MAX = 1_048_576


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file of a multipart form."""

    name: str
    filename: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form: its texts by name, its files in the order sent."""

    fields: Mapping[str, str]
    files: tuple[FormFile, ...]


def parse_form(content_type: str, raw: bytes) -> Form:
    """A multipart body. Parts may come in any order. Raises BodyError."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise BodyError(
            "This endpoint takes multipart/form-data with a boundary; let your client set the header."
        )
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(raw)
        parser.finalize()
    except FormParserError as error:
        raise BodyError(f"The form cannot be read: {error}.") from None
    if not parts.complete:
        raise BodyError("The form ends before its closing boundary; send it whole.")
    return Form(parts.fields, tuple(parts.files))


class _Parts:
    """Collects what the parser reports, a piece at a time."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.files: list[FormFile] = []
        self.complete = False
        self._name: list[bytes] = []
        self._value: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._content: list[bytes] = []
        self._count = 0

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.append(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.append(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._content.append(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > _PARTS_MAX:
            raise BodyError(f"The form has more than {_PARTS_MAX:,} parts.")
        self._headers, self._content = {}, []

    def _end_header(self) -> None:
        name = b"".join(self._name).strip().lower()
        if name in self._headers:
            raise BodyError("A part of the form has a header twice.")
        self._headers[name] = b"".join(self._value)
        self._name, self._value = [], []

    def _end(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise BodyError("A part of the form has no name; send `Content-Disposition: form-data; name=…`.")
        name = options[b"name"].decode(errors="replace")
        content = b"".join(self._content)
        if b"filename" in options:
            self.files.append(FormFile(name, options[b"filename"].decode(errors="replace"), content))
            return
        if len(content) > _FIELD_BYTES_MAX:
            raise BodyError(f"The form field `{name[:64]}` is longer than {_FIELD_BYTES_MAX:,} bytes.")
        if name in self.fields and not name.endswith("[]"):
            raise BodyError(f"The form has the field `{name[:64]}` more than once; send it once.")
        try:
            self.fields[name] = content.decode()
        except UnicodeDecodeError:
            raise BodyError(f"The form field `{name[:64]}` is not UTF-8.") from None

    def _finish(self) -> None:
        self.complete = True
