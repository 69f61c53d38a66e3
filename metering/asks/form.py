"""A multipart request to an `Ask`: transcriptions, translations, image edits and variations."""

from collections.abc import Mapping

from metering.asks.ask import Ask, ImageInput
from metering.asks.family import Family
from metering.asks.fields import clean_user, name_of, word
from metering.asks.inputs import plus
from metering.asks.limits import ANSWERS_MAX
from metering.bodies import Form
from metering.errors import BodyError
from metering.media import audio_length, image_size

_AUDIO_FAMILIES = (Family.TRANSCRIPTION, Family.TRANSLATION)
_ELSEWHERE = ("file", "file_id", "file_url", "url")


def read_form_ask(family: Family, form: Form, body_bytes: int) -> Ask:
    """What a form asks for. Raises BodyError. Walks through audio files: call it in a thread for large ones."""
    fields = form.fields
    images: list[ImageInput] = []
    audio = 0
    audio_bytes = 0
    audio_ms: int | None = 0
    # Some providers fetch the audio themselves, from an address or from what they have stored.
    is_elsewhere = any(fields.get(name) for name in _ELSEWHERE)
    audio_most_ms: int | None = None if is_elsewhere else 0
    for file in form.files:
        if family in _AUDIO_FAMILIES:
            length = audio_length(file.content)
            audio_ms = plus(audio_ms, None if length is None else length.ms)
            audio_most_ms = plus(audio_most_ms, None if length is None else length.most_ms)
            audio += 1
            audio_bytes += len(file.content)
        else:
            images.append(ImageInput(*(image_size(file.content) or (None, None))))
    return Ask(
        family=family,
        model=name_of(fields, "model"),
        body_bytes=body_bytes,
        stream=_flag(fields, "stream"),
        service_tier=word(fields.get("service_tier")),
        user=clean_user(fields.get("safety_identifier")) or clean_user(fields.get("user")),
        image_inputs=tuple(images),
        audio_inputs=audio,
        audio_ms=audio_ms,
        audio_most_ms=audio_most_ms,
        audio_bytes=audio_bytes,
        media_bytes=sum(len(file.content) for file in form.files),
        images=0 if family in _AUDIO_FAMILIES else _whole(fields, "n", 1) or 1,
        partial_images=_whole(fields, "partial_images", 0) or 0,
        image_size=word(fields.get("size")),
        image_quality=word(fields.get("quality")),
    )


def _flag(fields: Mapping[str, str], name: str) -> bool:
    value = fields.get(name, "").strip().lower()
    if value in ("true", "1"):
        return True
    if value in ("", "false", "0"):
        return False
    raise BodyError(f"`{name}` must be true or false.")


def _whole(fields: Mapping[str, str], name: str, least: int) -> int | None:
    value = fields.get(name, "").strip()
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= ANSWERS_MAX):
        raise BodyError(f"`{name}` must be a whole number between {least:,} and {ANSWERS_MAX:,}.")
    return int(value)
