import struct

import pytest

from metering.asks import Family, ImageInput, read_form_ask
from metering.errors import BodyError
from metering.forms import Form, FormFile

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 640, 480)
WAV = (
    b"RIFF\x00\x00\x00\x00WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8_000, 16_000, 2, 16)
    + b"data"
    + struct.pack("<I", 16_000)
    + b"\x00" * 16_000
)


def test_a_transcription_knows_the_length_of_its_file() -> None:
    form = Form({"model": "whisper-1", "response_format": "srt"}, (FormFile("file", "a.wav", WAV),))

    found = read_form_ask(Family.TRANSCRIPTION, form, len(WAV) + 300)

    assert (found.model, found.audio_inputs, found.audio_ms) == ("whisper-1", 1, 1_000)
    assert (found.audio_bytes, found.media_bytes, found.text_bytes) == (len(WAV), len(WAV), 300)
    assert found.images == 0


def test_a_file_that_does_not_tell_its_length_has_none() -> None:
    form = Form({"model": "whisper-1"}, (FormFile("file", "a.bin", b"noise"),))

    assert read_form_ask(Family.TRANSLATION, form, 100).audio_ms is None


def test_a_file_that_says_a_second_and_holds_ten_may_be_ten() -> None:
    file = WAV + b"\x00" * 144_000
    form = Form({"model": "whisper-1"}, (FormFile("file", "a.wav", file),))

    found = read_form_ask(Family.TRANSCRIPTION, form, len(file) + 300)

    assert (found.audio_ms, found.audio_most_ms) == (1_000, 10_000)


@pytest.mark.parametrize("field", ["file", "file_id", "file_url", "url"])
def test_audio_that_the_provider_fetches_itself_has_no_known_length(field: str) -> None:
    fields = {"model": "voxtral-mini-latest", field: "https://example.com/a.wav"}
    form = Form(fields, (FormFile("file", "a.wav", WAV),))

    assert read_form_ask(Family.TRANSCRIPTION, form, len(WAV)).audio_most_ms is None


def test_an_edit_knows_its_pictures_and_what_it_makes() -> None:
    fields = {"model": "gpt-image-1", "n": "2", "size": "1024x1024", "quality": "high", "stream": "true"}
    form = Form(fields, (FormFile("image[]", "a.png", PNG), FormFile("mask", "b", b"?")))

    found = read_form_ask(Family.IMAGE_EDIT, form, 500)

    assert found.image_inputs == (ImageInput(640, 480), ImageInput(None, None))
    assert (found.images, found.image_size, found.image_quality, found.stream) == (
        2,
        "1024x1024",
        "high",
        True,
    )


def test_a_form_names_its_user() -> None:
    fields = {"safety_identifier": "", "user": " alice\x07 "}

    assert read_form_ask(Family.IMAGE_VARIATION, Form(fields, ()), 10).user == "alice"


@pytest.mark.parametrize(
    "fields",
    [
        {"n": "0"},
        {"n": "two"},
        {"n": "99999999999"},
        {"n": "²"},
        {"n": "-1"},
        {"n": "1.0"},
        {"stream": "yes"},
        {"partial_images": "x"},
        {"model": "a\nb"},
    ],
)
def test_what_decides_the_cost_must_be_unmistakable(fields: dict[str, str]) -> None:
    with pytest.raises(BodyError):
        read_form_ask(Family.IMAGE_EDIT, Form(fields, ()), 10)
