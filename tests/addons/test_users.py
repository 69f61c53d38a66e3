"""Who made a call: named by the body, by a header, or by a fingerprint of the key."""

import pytest

from addons.users import NOBODY, USER_MAX, fingerprint, user_of

SECRET = b"s" * 32


def test_the_body_goes_before_the_header_and_the_header_before_the_key() -> None:
    assert user_of("alice", "bob", "key-1") == "alice"
    assert user_of(None, "bob", "key-1") == "bob"
    assert user_of("", " \x00\n", "key-1") == "key-1"


def test_a_name_is_cut_and_loses_its_control_characters() -> None:
    assert user_of("a\x00li\nce\u202e", None, "") == "alice"
    assert user_of("x" * 500, None, "") == "x" * USER_MAX


@pytest.mark.parametrize("name", ["authorization", "api-key", "x-api-key", "x-goog-api-key"])
def test_a_key_is_known_by_its_fingerprint_whatever_header_carries_it(name: str) -> None:
    mark = fingerprint({name: "sk-secret"}, SECRET)

    assert len(mark) == len("key-") + 12
    assert "secret" not in mark
    assert mark == fingerprint({"authorization": "Bearer sk-secret"}, SECRET)
    assert mark == fingerprint({"authorization": "bearer  sk-secret "}, SECRET)
    assert mark != fingerprint({name: "sk-other"}, SECRET)
    assert mark != fingerprint({name: "sk-secret"}, b"t" * 32)


def test_who_sends_no_key_is_nobody() -> None:
    assert fingerprint({}, SECRET) == NOBODY
    assert fingerprint({"authorization": ""}, SECRET) == NOBODY
