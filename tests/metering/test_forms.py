from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.errors import BodyError
from metering.forms import FormFile, parse_form

KIND = "multipart/form-data; boundary=xyz"


def part(name: str, value: bytes, filename: str | None = None, more: str = "") -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    return f"--xyz\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xyz--\r\n"


def refusal_of(raw: bytes, kind: str = KIND) -> str:
    with pytest.raises(BodyError) as refused:
        parse_form(kind, raw)
    return refused.value.reason


def test_texts_and_files_are_told_apart_in_any_order() -> None:
    found = parse_form(
        KIND,
        form(
            part("file", b"\x00\xff\r\n--xy", "a.wav", "Content-Type: audio/wav\r\n"),
            part("model", b"whisper-1"),
            part("prompt", "Grüße".encode()),
        ),
    )

    assert found.fields == {"model": "whisper-1", "prompt": "Grüße"}
    assert found.files == (FormFile("file", "a.wav", b"\x00\xff\r\n--xy"),)


def test_files_keep_their_order_and_may_share_a_name() -> None:
    found = parse_form(KIND, form(part("image[]", b"1", "a.png"), part("image[]", b"2", "b.png")))

    assert [file.content for file in found.files] == [b"1", b"2"]


def test_a_repeated_list_field_is_allowed() -> None:
    raw = form(part("include[]", b"logprobs"), part("include[]", b"other"))

    assert parse_form(KIND, raw).fields == {"include[]": "other"}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (form(part("model", b"a"), part("model", b"b")), "`model` more than once"),
        (form(part("model", b"\xff")), "not UTF-8"),
        (form(part("a", b"x" * 1_048_577)), "longer than"),
        (form(b'--xyz\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n'), "has no name"),
        (form(b"--xyz\r\nContent-Type: text/plain\r\n\r\nx\r\n"), "has no name"),
        (
            form(
                b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n'
                b'Content-Disposition: form-data; name="b"\r\n\r\nx\r\n'
            ),
            "a header twice",
        ),
        (part("a", b"x"), "closing boundary"),
        (b"", "closing boundary"),
        (b"nonsense", "cannot be read"),
    ],
)
def test_a_form_that_two_readers_could_understand_differently_is_refused(raw: bytes, reason: str) -> None:
    assert reason in refusal_of(raw)


def test_too_many_parts_are_refused() -> None:
    assert "more than 1,024 parts" in refusal_of(form(*(part(f"f{index}", b"") for index in range(1_025))))


@pytest.mark.parametrize(
    "kind", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=xyz", "x" * 500]
)
def test_another_kind_of_body_is_refused(kind: str) -> None:
    assert "multipart/form-data with a boundary" in refusal_of(form(part("a", b"x")), kind)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300))
def test_any_file_comes_out_as_it_went_in(content: bytes) -> None:
    if b"\r\n--xyz" not in b"\r\n" + content:
        assert parse_form(KIND, form(part("file", content, "a"))).files[0].content == content


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_garbage_is_refused_and_never_breaks(noise: bytes, at: int) -> None:
    raw = form(part("model", b"whisper-1"), part("file", b"abc", "a.wav"))
    with suppress(BodyError):
        parse_form(KIND, raw[:at] + noise + raw[at:])
