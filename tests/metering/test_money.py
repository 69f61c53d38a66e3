"""Nanodollars in and out, without a float."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.money import NANO, ceil_nanousd, dollars, parse_dollars, shown


@pytest.mark.parametrize(
    ("amount", "nanousd"),
    [
        (20, 20 * NANO),
        (0, 0),
        (Decimal("0.000000001"), 1),
        (Decimal("20.50"), 20_500_000_000),
        (Decimal("1E+3"), 1_000 * NANO),
        (Decimal("1.0000000000000"), NANO),
        (Decimal("0E-999999"), 0),
        (Decimal("-1.5"), -1_500_000_000),
        (Decimal(1_000_000_000), 10**18),
    ],
)
def test_dollars_become_nanodollars_exactly(amount: Decimal | int, nanousd: int) -> None:
    assert parse_dollars(amount) == nanousd


@pytest.mark.parametrize(
    "amount",
    [Decimal("0.0000000001"), Decimal("1.0000000005"), Decimal("NaN"), Decimal("Infinity"), Decimal("1E-999999"),
     Decimal("1E+999999"), True, 1.5, "20", None],
)  # fmt: skip
def test_what_is_not_an_exact_amount_is_refused(amount: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_dollars(amount)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [(325_000, "0.000325"), (20 * NANO, "20"), (0, "0"), (1, "0.000000001"), (-1_500_000_000, "-1.5"), (10**18, "1000000000")],
)  # fmt: skip
def test_amounts_are_written_without_exponent_or_trailing_zeros(nanousd: int, text: str) -> None:
    assert dollars(nanousd) == text


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_a_written_amount_reads_back_as_itself(nanousd: int) -> None:
    assert parse_dollars(Decimal(dollars(nanousd))) == nanousd


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [
        (20_500_000_000, "$20.50"),
        (20 * NANO, "$20.00"),
        (0, "$0.00"),
        (400_000, "$0.0004"),
        (10_000_000, "$0.01"),
        (1, "$0.000000001"),
        (9_999_999, "$0.010"),
        (1_234_567_890, "$1.23"),
        (1_235_000_000, "$1.24"),
        (1_204_500_000_000, "$1204.50"),
        (-400_000, "-$0.0004"),
    ],
)
def test_amounts_for_people_have_two_decimals_and_as_many_more_as_a_small_one_needs(
    nanousd: int, text: str
) -> None:
    assert shown(nanousd) == text


def test_thousands_are_grouped_only_where_asked() -> None:
    assert shown(1_204_500_000_000, grouped=True) == "$1,204.50"


@given(st.integers(min_value=1, max_value=10**18))
def test_no_amount_is_shown_as_nothing(nanousd: int) -> None:
    assert shown(nanousd).strip("$0.") != ""


@pytest.mark.parametrize(
    ("fusd", "nanousd"), [(0, 0), (1, 1), (10**6, 1), (10**6 + 1, 2), (2_500_000_000, 2_500)]
)
def test_a_cost_is_rounded_upwards(fusd: int, nanousd: int) -> None:
    assert ceil_nanousd(fusd) == nanousd
