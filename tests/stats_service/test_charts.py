"""Charts: scales, places, sizes, and what they say to those who do not see them."""

import re

import pytest

from metering.clock import DAY_US, HOUR_US, parse_time
from metering.money import NANO
from stats_service.pages import charts, lines, rendering
from stats_service.pages.charts import Series
from stats_service.pages.scales import scale_for, time_label, window_labels

START = parse_time("2026-11-01")
DAYS = [START + day * DAY_US for day in range(30)]


def rendered(macro: str, *arguments: object) -> str:
    module = rendering.environment().get_template("_charts.html").make_module({})
    return str(getattr(module, macro)(*arguments))


@pytest.mark.parametrize(
    ("largest", "top", "steps"), [(0, 4, 4), (1, 1, 1), (7, 8, 4), (40, 40, 4), (41, 60, 3), (999, 1000, 2), (1001, 1500, 3)]
)  # fmt: skip
def test_scales_are_round_and_hold_the_largest_value(largest: int, top: int, steps: int) -> None:
    scale = scale_for(largest)
    assert scale.top == top
    assert scale.top >= largest
    assert len(scale.ticks) - 1 == steps


def test_columns_add_up_to_the_height_of_their_sum() -> None:
    chart = charts.stacked_bars(DAYS[:2], DAY_US, [Series("a", [3 * NANO, 0]), Series("b", [NANO, 4 * NANO])])
    assert [sum(part.height for part in column.segments) for column in chart.columns] == [192.0, 192.0]
    assert [entry.name for entry in chart.legend] == ["b", "a"]


def test_a_single_day_is_a_bar_in_the_middle_and_not_a_wall() -> None:
    chart = charts.stacked_bars(DAYS[:1], DAY_US, [Series("a", [NANO])])
    (column,) = chart.columns
    assert (column.x, column.width) == (46.5, 7.0)
    assert (column.strip_x, column.strip_width) == (0.0, 100.0)


def test_what_does_not_fit_is_added_up_as_others_and_nothing_is_lost() -> None:
    series = [Series(f"model-{number}", [number * NANO]) for number in range(1, 21)]
    chart = charts.stacked_bars(DAYS[:1], DAY_US, series)
    assert len(chart.legend) == charts.SERIES_MAX + 1
    assert chart.legend[-1].name == "Others (13)"
    assert chart.legend[-1].total == "$91.00"
    assert chart.summary.startswith("$210.00 in all")


def test_an_empty_range_is_said_in_words() -> None:
    chart = charts.stacked_bars(DAYS, DAY_US, [])
    assert chart.is_empty
    assert "Nothing was spent" in rendered("stacked", chart, "Spend")


def test_columns_say_when_and_how_much_on_hover_and_as_a_table() -> None:
    chart = charts.stacked_bars(DAYS[:1], DAY_US, [Series("gpt-4o", [NANO]), Series("o3", [2 * NANO])])
    assert chart.columns[0].title == "1 Nov 2026 UTC\n$3.00\no3: $2.00\ngpt-4o: $1.00"
    assert chart.rows == [("1 Nov 2026 UTC", ["$2.00", "$1.00"])]


def test_names_in_charts_are_escaped() -> None:
    chart = charts.stacked_bars(
        DAYS[:1], DAY_US, [Series("<script>x</script>", [NANO]), Series('"&', [NANO])]
    )
    svg = rendered("stacked", chart, "Spend <b>")
    assert "<script>" not in svg
    assert "<b>" not in svg


def test_charts_need_no_inline_style_and_no_script() -> None:
    series = [Series(f"model-{number}", [number * NANO] * 30) for number in range(8)]
    bars = rendered("stacked", charts.stacked_bars(DAYS, DAY_US, series), "Spend")
    hours = [START + hour * HOUR_US for hour in range(10)]
    line = lines.budget_line(
        hours, HOUR_US, [NANO] * 10, end_us=START + DAY_US, now_us=hours[-1], budget_nanousd=20 * NANO
    )
    for svg in (bars, rendered("budget", line, "Spend")):
        assert not re.search(r"\sstyle=|<style|<script|https?://|\son\w+=", svg)
        assert "NaN" not in svg
        assert 'role="img"' in svg
        assert "US dollars" in svg


def test_a_sparkline_is_smaller_than_two_kilobytes() -> None:
    svg = rendered(
        "spark", lines.sparkline([10**9 + 7 * hour for hour in range(24)], "$24.00 in the last 24 hours")
    )
    assert len(svg.encode()) < 2_000


def test_a_small_value_beside_a_huge_one_can_be_seen_and_zero_cannot() -> None:
    line = lines.sparkline([10**18, 1, 0], "")
    assert line.path.count("v-") == 2


def test_a_budget_line_ends_now_and_adds_up() -> None:
    hours = [START, START + HOUR_US]
    chart = lines.budget_line(
        hours,
        HOUR_US,
        [NANO, NANO],
        end_us=START + DAY_US,
        now_us=START + 3 * HOUR_US // 2,
        budget_nanousd=4 * NANO,
    )
    assert chart.now_x == 6.25
    assert chart.line == "M0.0,160.0 41.67,122.0 62.5,84.0"
    assert chart.summary == "$2.00 of $4.00 spent so far in this window."


def test_usage_is_coloured_at_80_and_100_percent_of_what_is_spent_and_held() -> None:
    assert lines.usage_bar(100, 79, 0).level == "ok"
    assert lines.usage_bar(100, 70, 10).level == "warn"
    assert lines.usage_bar(100, 99, 1).level == "over"
    assert lines.usage_bar(100, 250, 5) == lines.UsageBar(100.0, 0.0, "over")


def test_a_budget_of_nothing_is_full_only_when_something_was_spent() -> None:
    assert lines.usage_bar(0, 0, 0).level == "none"
    assert lines.usage_bar(0, 1, 0).level == "over"


def test_axes_name_hours_days_and_months() -> None:
    assert time_label(START + 14 * HOUR_US, HOUR_US) == "14:00"
    assert time_label(START, HOUR_US) == "1 Nov", "hours of more than one day say where a day begins"
    assert time_label(START, DAY_US) == "1 Nov"
    assert time_label(START, 30 * DAY_US) == "Nov 2026"


def test_the_axis_of_a_window_fits_its_period() -> None:
    year = parse_time("2026-01-01")
    assert [text for _, text in window_labels(year, year + 365 * DAY_US)] == ["Jan", "Apr", "Jul", "Oct"]
    assert [text for _, text in window_labels(START, START + DAY_US)] == [
        "00:00 UTC",
        "06:00",
        "12:00",
        "18:00",
        "00:00",
    ]
    monday = parse_time("2026-11-02")
    assert next(text for _, text in window_labels(monday, monday + 7 * DAY_US)) == "Mon"
