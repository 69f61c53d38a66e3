"""Time in and out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.clock import monotonic_s, now_us, parse_time, rfc3339


def test_a_time_is_written_in_rfc_3339_with_a_fraction_only_where_there_is_one() -> None:
    assert rfc3339(1_795_508_007_123_456) == "2026-11-24T08:13:27.123456Z"
    assert rfc3339(1_795_508_007_000_000) == "2026-11-24T08:13:27Z"
    assert rfc3339(0) == "1970-01-01T00:00:00Z"


@given(st.integers(min_value=0, max_value=4 * 10**15))
def test_a_written_time_reads_back_as_itself(us: int) -> None:
    assert parse_time(rfc3339(us)) == us


def test_a_date_is_its_midnight_in_utc() -> None:
    assert rfc3339(parse_time("2026-11-24")) == "2026-11-24T00:00:00Z"


def test_an_offset_is_taken_into_account() -> None:
    assert parse_time("2026-11-24T09:13:27+01:00") == parse_time("2026-11-24T08:13:27Z")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-11-24T08:13:27", "1795508007", "2026-11-24 x"]
)
def test_what_is_not_a_time_with_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


def test_the_clocks_go_forward() -> None:
    assert now_us() > parse_time("2024-01-01")
    assert monotonic_s() <= monotonic_s()
