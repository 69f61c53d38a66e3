"""How figures read: amounts, counts, times, and the sentences made of them."""

import pytest

from metering.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_time
from metering.money import NANO
from metering.periods import Period
from stats_service.pages import formats


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (325_000, "$0.000325"),
        (325_128, "$0.000325"),
        (32_500_000, "$0.0325"),
        (420_000_000, "$0.42"),
        (999_999_999, "$1.00"),
        (20 * NANO, "$20.00"),
        (1_204_500_000_000, "$1,204.50"),
        (999_999_990_000_000, "$999,999.99"),
        (10**18, "$1,000,000,000"),
        (-1_500_000_000, "-$1.50"),
    ],
)
def test_amounts_have_two_decimals_from_a_dollar_three_digits_below_and_no_cents_from_a_million(
    nanousd: int, text: str
) -> None:
    assert formats.money(nanousd) == text


@pytest.mark.parametrize(
    ("nanousd", "step", "text"),
    [(0, 1, "$0"), (20 * NANO, 20 * NANO, "$20"), (NANO, NANO // 2, "$1.00"), (6 * 10**17, 10**17, "$600M")],
)
def test_axes_leave_out_what_is_the_same_on_each_line(nanousd: int, step: int, text: str) -> None:
    assert formats.axis(nanousd, step) == text


def test_the_exact_amount_keeps_each_digit_and_at_least_two_decimals() -> None:
    assert formats.exact(1_234_567_891_234) == "$1,234.567891234"
    assert formats.exact(20 * NANO) == "$20.00"
    assert formats.exact(1) == "$0.000000001"


def test_percentages_are_rounded_half_up_to_one_decimal_as_in_a_refusal() -> None:
    assert formats.percent(20_500, 20_000) == "102.5%"
    assert formats.percent(1, 2_000) == "0.1%"
    assert formats.percent(0, 0) == "0%"
    assert formats.percent(1, 0) == "100%"


def test_a_budget_is_not_used_up_by_rounding() -> None:
    assert formats.used(99_990, 100_000) == "99.9%"
    assert formats.used(100_000, 100_000) == "100%"
    assert formats.used(99_900, 100_000) == "99.9%"
    assert formats.used(0, 0) == "0%"


def test_large_counts_are_compact_and_never_a_thousand_of_the_smaller_unit() -> None:
    assert [formats.compact(number) for number in (999, 1_000, 12_345, 999_999, 4_560_000)] == [
        "999",
        "1k",
        "12.3k",
        "1M",
        "4.56M",
    ]


def test_a_change_says_its_direction_and_nothing_where_there_was_nothing_before() -> None:
    assert formats.change(112, 100) == "+12%"
    assert formats.change(955, 1_000) == "−4.5%"
    assert formats.change(100, 100) == "±0%"
    assert formats.change(2_640, 100) == "26×"
    assert formats.change(5, 0) is None


def test_times_read_in_their_two_largest_units() -> None:
    assert formats.span(6 * HOUR_US + 12 * MINUTE_US) == "6 h 12 min"
    assert formats.span(3 * DAY_US + 4 * HOUR_US) == "3 d 4 h"
    assert formats.span(37 * DAY_US + 4 * HOUR_US) == "37 d"
    assert formats.span(-5) == "0 s"
    assert formats.ago(0, 9 * SECOND_US) == "just now"
    assert formats.ago(0, 90 * MINUTE_US) == "1 h ago"
    assert formats.latency(840_000) == "840 ms"
    assert formats.latency(12_400_000) == "12.4 s"


def test_a_moment_is_written_in_utc() -> None:
    assert formats.moment(parse_time("2026-11-04T16:40:05Z")) == "4 Nov 2026, 16:40 UTC"
    assert formats.moment_exact(parse_time("2026-11-04T16:40:05Z")) == "4 Nov 2026, 16:40:05 UTC"


def test_a_budget_in_plain_words_says_when_it_resets() -> None:
    assert formats.summary(20 * NANO, Period.DAY) == "$20.00 each day, resets at midnight UTC"
    assert formats.summary(NANO // 2, Period.WEEK) == "$0.50 each week, resets on Monday at midnight UTC"


def test_every_period_has_words_for_its_reset() -> None:
    assert all(formats.resets(period) for period in Period)


def test_long_names_are_cut_in_the_middle() -> None:
    assert formats.shortened("short", 10) == "short"
    assert formats.shortened("a-very-long-name-0001", 12) == "a-very-l…001"
