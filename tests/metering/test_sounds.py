from dataclasses import replace

from metering.sounds import audio_tokens, expected_ms, spoken_bytes_tokens, spoken_tokens
from tests.metering.asking import chat


def test_the_length_of_audio_is_its_headers_or_else_by_its_size() -> None:
    ask = replace(chat(), audio_inputs=2, audio_bytes=40_000)

    assert expected_ms(replace(ask, audio_ms=5_000)) == 5_000
    assert expected_ms(replace(ask, audio_ms=None)) == 10_000
    assert expected_ms(replace(ask, audio_ms=10)) == 2_000


def test_audio_behind_an_address_is_never_nothing() -> None:
    assert expected_ms(chat()) == 600_000


def test_ten_tokens_are_heard_and_twenty_spoken_in_a_second() -> None:
    assert audio_tokens(60_000) == 600
    assert spoken_tokens(15) == 20


def test_bytes_of_speech_count_by_their_coding() -> None:
    assert spoken_bytes_tokens(48_000, "pcm") == 20
    assert spoken_bytes_tokens(16_000, None) == 20
    # An unknown coding is taken to be a dense one, so that it is not charged at too little.
    assert spoken_bytes_tokens(16_000, "tomorrows") == 80
