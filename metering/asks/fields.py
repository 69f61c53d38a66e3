"""Reading single fields of a request. What decides the cost must be unmistakable, or the request is refused."""

import unicodedata
from collections.abc import Iterator, Mapping

from metering.errors import BodyError

Body = Mapping[str, object]

_TEXT_CHARACTERS_MAX = 256
_USER_CHARACTERS_MAX = 128
_EMPTY: Body = {}


def whole(body: Body, name: str, least: int, most: int, shown: str | None = None) -> int | None:
    """An integer in a range; None where the field is absent or null. Raises BodyError."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int:
        raise BodyError(f"`{shown or name}` must be a whole number; leave it out to have the default.")
    if not least <= value <= most:
        raise BodyError(f"`{shown or name}` must be between {least:,} and {most:,}.")
    return value


def flag(body: Body, name: str) -> bool:
    """A boolean; False where the field is absent or null. Raises BodyError."""
    value = body.get(name)
    if value is None or value is False:
        return False
    if value is True:
        return True
    raise BodyError(f"`{name}` must be true or false.")


def name_of(body: Body, name: str) -> str | None:
    """A short printable text such as a model's name; None where it is absent or empty. Raises BodyError."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BodyError(f"`{name}` must be a string.")
    value = value.strip()
    if len(value) > _TEXT_CHARACTERS_MAX or not value.isprintable():
        raise BodyError(f"`{name}` must be at most {_TEXT_CHARACTERS_MAX} printable characters.")
    return value or None


def word(value: object) -> str | None:
    """A short printable text where one stands, else None: for fields that the upstream checks itself."""
    if isinstance(value, str) and len(value) <= _TEXT_CHARACTERS_MAX and value.isprintable():
        return value.strip() or None
    return None


def clean_user(value: object) -> str | None:
    """Who made the call, without control characters, at most 128 characters; None where nothing remains."""
    if not isinstance(value, str):
        return None
    if not (value.isascii() and value.isprintable()):
        value = "".join(character for character in value if unicodedata.category(character)[0] != "C")
    return value.strip()[:_USER_CHARACTERS_MAX].strip() or None


def record(value: object) -> Body:
    """The object itself, or an empty one where something else stands."""
    return value if isinstance(value, dict) else _EMPTY


def records(value: object) -> Iterator[Body]:
    """The objects of an array; nothing where something else stands."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield item
