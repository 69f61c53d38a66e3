"""Money: an `int` of nanodollars (10⁻⁹ USD), from Decimal in, to decimal text out, never a float.

Rates are femtodollars (10⁻¹⁵ USD) per unit. What a call costs is summed in femtodollars and rounded once, upwards, by
`ceil_nanousd`.
"""

from decimal import Decimal

NANO = 10**9
FUSD_PER_NANOUSD = 10**6
FUSD_PER_DOLLAR = 10**15
_PLACES = 9
_SHOWN_PLACES = 2


def parse_dollars(amount: Decimal | int) -> int:
    """Nanodollars of an exact amount of dollars. Raises ValueError where it is not finite or finer than 9 places."""
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int):
        raise ValueError("must be a number of dollars")  # noqa: TRY004  # It is input, whatever its type.
    exact = Decimal(amount)
    if not exact.is_finite():
        raise ValueError("must be a finite number of dollars")
    sign, digits, exponent = exact.as_tuple()
    # Without this bound, 1e999999999 would be multiplied out before anybody looks at its size.
    if exact and exact.adjusted() > 18:
        raise ValueError("is too large")
    value: int = int("".join(map(str, digits)))
    shift = int(exponent) + _PLACES
    if value == 0:
        return 0
    if shift < 0:
        value, rest = divmod(value, 10 ** min(-shift, len(digits) + 1))
        if rest:
            raise ValueError("has more than 9 decimal places")
    else:
        value *= int(10**shift)
    return -value if sign else value


def dollars(nanousd: int) -> str:
    """Exact decimal text without exponent or trailing zeros: `0.000325`, `20`, `-1.5`."""
    text = exact_dollars(abs(nanousd) * FUSD_PER_NANOUSD)
    return f"-{text}" if nanousd < 0 else text


def exact_dollars(fusd: int) -> str:
    """The same of femtodollars, which prices are in; not below zero."""
    whole, rest = divmod(fusd, FUSD_PER_DOLLAR)
    return f"{whole}.{rest:015d}".rstrip("0").rstrip(".")


def shown(nanousd: int, *, grouped: bool = False) -> str:
    """An amount for people: `$20.50`, `$0.0004`, and `$1,204.50` when grouped.

    Two decimals, rounded half up; an amount under a cent has as many more as its first digit needs to be seen.
    """
    amount = abs(nanousd)
    places = _SHOWN_PLACES
    while places < _PLACES and amount and amount < 10 ** (_PLACES - places):
        places += 1
    unit = 10 ** (_PLACES - places)
    whole, rest = divmod((amount + unit // 2) // unit, 10**places)
    text = f"${whole:,}.{rest:0{places}d}" if grouped else f"${whole}.{rest:0{places}d}"
    return f"-{text}" if nanousd < 0 else text


def ceil_nanousd(fusd: int) -> int:
    """Nanodollars of an amount in femtodollars, rounded upwards: the one rounding of a call's cost."""
    return -(-fusd // FUSD_PER_NANOUSD)
