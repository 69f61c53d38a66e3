"""The six kinds of window, at their boundaries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.clock import parse_time, rfc3339
from metering.periods import Period, Window, window_at

MOMENTS = st.integers(min_value=parse_time("1971-01-01"), max_value=parse_time("2200-01-01"))


@pytest.mark.parametrize(
    ("period", "moment", "start", "end"),
    [
        ("minute", "2026-11-24T08:13:59.999999Z", "2026-11-24T08:13:00Z", "2026-11-24T08:14:00Z"),
        ("minute", "2026-11-24T08:14:00Z", "2026-11-24T08:14:00Z", "2026-11-24T08:15:00Z"),
        ("hour", "2026-11-24T08:59:59.999999Z", "2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z"),
        ("hour", "2026-11-24T23:00:00Z", "2026-11-24T23:00:00Z", "2026-11-25T00:00:00Z"),
        ("day", "2028-02-28T23:59:59.999999Z", "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("day", "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
        ("day", "2027-02-28T12:00:00Z", "2027-02-28T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("week", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        ("week", "2026-11-29T23:59:59.999999Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        ("week", "2027-01-01T00:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
        ("week", "2024-12-31T23:59:59Z", "2024-12-30T00:00:00Z", "2025-01-06T00:00:00Z"),
        ("week", "2028-02-29T10:00:00Z", "2028-02-28T00:00:00Z", "2028-03-06T00:00:00Z"),
        ("month", "2028-02-29T23:59:59.999999Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ("month", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("month", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
        ("year", "2028-02-29T00:00:00Z", "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"),
        ("year", "2026-12-31T23:59:59.999999Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ],
)
def test_a_window_starts_and_ends_with_its_calendar_unit(
    period: str, moment: str, start: str, end: str
) -> None:
    window = window_at(Period(period), parse_time(moment))
    assert (rfc3339(window.start_us), rfc3339(window.end_us)) == (start, end)


@given(st.sampled_from(Period), MOMENTS)
def test_windows_are_half_open_and_leave_no_gap(period: Period, moment_us: int) -> None:
    window = window_at(period, moment_us)
    assert moment_us in window
    assert window.end_us not in window
    assert window_at(period, window.start_us) == window
    assert window_at(period, window.end_us - 1) == window
    assert window_at(period, window.end_us).start_us == window.end_us
    assert window_at(period, window.start_us - 1).end_us == window.start_us


def test_after_a_week_of_downtime_the_window_is_the_one_of_the_clock() -> None:
    before = window_at(Period.WEEK, parse_time("2026-11-20T10:00:00Z"))
    after = window_at(Period.WEEK, parse_time("2026-11-30T10:00:00Z"))
    assert after == Window(parse_time("2026-11-30"), parse_time("2026-12-07"))
    assert before.end_us < after.start_us


def test_a_period_has_a_phrase_for_messages() -> None:
    assert [period.phrase for period in Period] == ["per minute", "per hour", "per day", "per week", "per month", "per year"]  # fmt: skip
