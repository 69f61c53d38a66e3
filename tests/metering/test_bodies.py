import json
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.bodies import DEPTH_MAX, parse_object, with_output_limit, with_stream_usage
from metering.errors import BodyError


def refusal_of(raw: bytes) -> str:
    with pytest.raises(BodyError) as refused:
        parse_object(raw)
    return refused.value.reason


def test_an_object_is_read_as_it_is() -> None:
    raw = b' {"model": "gpt-4o", "n": 2, "stream": true, "stop": null, "temperature": 0.5} '

    assert parse_object(raw) == {"model": "gpt-4o", "n": 2, "stream": True, "stop": None, "temperature": 0.5}
    assert parse_object(b"{}") == {}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"[1]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a": 1', "not valid JSON"),
        (b'{"a": 1} x', "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": "\xff"}', "not UTF-8"),
        ('{"a": "é"}'.encode("latin-1"), "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not valid JSON"),
    ],
)
def test_what_is_no_json_object_is_refused_with_the_reason(raw: bytes, reason: str) -> None:
    assert reason in refusal_of(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model": "a", "model": "b"}',
        b'{"model": "a", "n": [1, {"x": "}"}], "model": "a"}',
        b'{"model": "a", "\\u006dodel": "b"}',
        b'{"model": "\\ud83d", "n": 1, "model": "b"}',
    ],
)
def test_a_key_that_stands_twice_at_the_top_is_refused(raw: bytes) -> None:
    assert "`model` more than once" in refusal_of(raw)


def test_a_key_that_stands_twice_below_the_top_is_the_upstreams_business() -> None:
    assert parse_object(b'{"metadata": {"a": 1, "a": 2}}') == {"metadata": {"a": 2}}


@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
def test_nesting_is_allowed_to_a_depth(pair: tuple[str, str]) -> None:
    opened, closed = pair
    allowed = '{"a":' + opened * (DEPTH_MAX - 1) + "1" + closed * (DEPTH_MAX - 1) + "}"
    too_deep = '{"a":' + opened * DEPTH_MAX + "1" + closed * DEPTH_MAX + "}"

    assert parse_object(allowed.encode())
    assert "nested more than 128" in refusal_of(too_deep.encode())


def test_nesting_that_would_break_a_parser_is_refused_as_well() -> None:
    depth = sys.getrecursionlimit() * 20

    assert "nested more than" in refusal_of(b'{"a":' + b"[" * depth + b"]" * depth + b"}")
    assert "nested more than" in refusal_of(b'{"b":"\\ud83d","a":' + b"[" * depth + b"]" * depth + b"}")


def test_brackets_and_commas_in_strings_are_no_structure() -> None:
    raw = json.dumps({"a": '[[[{"b": 1,,,}', "b\\": '\\",\\"', '"': ["\\", '"', ",[", "\\\\"]}).encode()

    assert len(parse_object(raw)) == 3


def test_half_a_surrogate_pair_is_text() -> None:
    assert parse_object(b'{"a": "\\ud83d", "b": 1}') == {"a": "\ud83d", "b": 1}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(st.text(max_size=8), json_values, max_size=6)
styles = st.sampled_from(
    [{}, {"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}, {"separators": (" ,\t", " :\n")}]
)


def dumped(body: object, style: dict[str, object]) -> bytes:
    return json.dumps(body, **style).encode(
        "utf-8", "surrogatepass" if style.get("ensure_ascii", True) else "replace"
    )


@settings(deadline=None, max_examples=200)
@given(objects, styles)
def test_every_object_that_a_client_writes_is_read_back(
    body: dict[str, object], style: dict[str, object]
) -> None:
    raw = dumped(body, style)

    assert parse_object(raw) == json.loads(raw)


@settings(deadline=None, max_examples=200)
@given(objects.filter(bool), styles, st.data())
def test_any_repeated_key_is_found(
    body: dict[str, object], style: dict[str, object], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(body)))
    raw = dumped(body, style)
    again = raw[: raw.rindex(b"}")] + b"," + json.dumps(key).encode() + b": 1}"

    with pytest.raises(BodyError):
        parse_object(again)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60) | st.text('{}[]",:\\u0123atrue', max_size=40).map(str.encode))
def test_garbage_is_refused_and_never_breaks(raw: bytes) -> None:
    with suppress(BodyError):
        assert isinstance(parse_object(raw), dict)


def test_usage_is_asked_for_in_a_stream_that_does_not() -> None:
    raw = b'{"model": "gpt-4o",  "stream":true }'

    changed = with_stream_usage(raw, parse_object(raw))

    assert changed == b'{"model": "gpt-4o",  "stream":true ,"stream_options":{"include_usage":true}}'
    assert with_stream_usage(b"{}", {}) == b'{"stream_options":{"include_usage":true}}'


@pytest.mark.parametrize(
    ("raw", "changed"),
    [
        (b'{"stream_options":{}}', b'{"stream_options":{"include_usage":true}}'),
        (b'{"stream_options": null , "n":1}', b'{"stream_options": {"include_usage":true} , "n":1}'),
        (b'{"stream_options":{"include_usage": false}}', b'{"stream_options":{"include_usage": true}}'),
        (b'{"stream_options":{"x": [1]}}', b'{"stream_options":{"x": [1],"include_usage":true}}'),
        (
            b'{"a":"\xc3\xa9","stream_options":{}}',
            b'{"a":"\xc3\xa9","stream_options":{"include_usage":true}}',
        ),
        (b'{"stream_options":{"include_usage":true}}', b'{"stream_options":{"include_usage":true}}'),
    ],
)
def test_other_options_of_a_stream_are_kept(raw: bytes, changed: bytes) -> None:
    assert with_stream_usage(raw, parse_object(raw)) == changed


def test_an_output_limit_is_added_or_lowered_and_never_raised() -> None:
    def limited(raw: bytes, field: str) -> bytes:
        return with_output_limit(raw, parse_object(raw), field, 100)

    assert limited(b'{"a":1}', "max_tokens") == b'{"a":1,"max_tokens":100}'
    assert limited(b'{"max_tokens": 500, "a":1}', "max_tokens") == b'{"max_tokens": 100, "a":1}'
    assert limited(b'{"max_tokens": 50}', "max_tokens") == b'{"max_tokens": 50}'
    assert limited(b'{"max_tokens": null}', "max_tokens") == b'{"max_tokens": 100}'


def test_all_limits_that_a_body_states_are_lowered_together() -> None:
    raw = b'{"max_tokens":500,"max_completion_tokens":900,"max_output_tokens":10}'

    changed = with_output_limit(raw, parse_object(raw), "max_completion_tokens", 100)

    assert changed == b'{"max_tokens":100,"max_completion_tokens":100,"max_output_tokens":10}'


@settings(deadline=None, max_examples=200)
@given(objects, styles, st.integers(0, 1_000), st.sampled_from(["max_tokens", "max_output_tokens"]))
def test_a_splice_changes_one_value_and_no_other_byte(
    body: dict[str, object], style: dict[str, object], tokens: int, field: str
) -> None:
    body.pop(field, None)
    marked = body | {field: 10**9 + 7}
    raw = dumped(marked, style)

    changed = with_output_limit(raw, parse_object(raw), field, tokens)

    before, after = raw.split(str(10**9 + 7).encode())
    assert changed == before + str(tokens).encode() + after


@settings(deadline=None, max_examples=200)
@given(objects, styles)
def test_a_body_with_usage_asked_for_says_otherwise_the_same(
    body: dict[str, object], style: dict[str, object]
) -> None:
    body.pop("stream_options", None)
    raw = dumped(body, style)

    changed = parse_object(with_stream_usage(raw, parse_object(raw)))

    assert changed == json.loads(raw) | {"stream_options": {"include_usage": True}}
