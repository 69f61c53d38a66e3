"""How amounts, counts and times read on the pages. Pure functions; they become filters of the templates.

Money is exact to a billionth of a dollar and read by people: two decimals from a dollar up, three significant digits
below it (`$1,204.50`, `$0.000325`), and from a million up no cents. Whoever needs each digit finds it in the title, as
`exact`.
"""

from metering.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US, at
from metering.money import FUSD_PER_NANOUSD, NANO, exact_dollars
from metering.periods import Period

_DIGITS = 3
_NO_CENTS = 10**6 * NANO
_TIMES = 20
_AXIS_COMPACT = 10_000
_COMPACT = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))
_RESETS = {
    Period.MINUTE: "resets at the start of every minute",
    Period.HOUR: "resets at the start of every hour",
    Period.DAY: "resets at midnight UTC",
    Period.WEEK: "resets on Monday at midnight UTC",
    Period.MONTH: "resets on the 1st at midnight UTC",
    Period.YEAR: "resets on 1 January at midnight UTC",
}


def money(nanousd: int) -> str:
    """`$1,204.50`, `$0.42`, `$0.0325`, `$0.000325`, `$830,000,000`: rounded half up."""
    amount = abs(nanousd)
    sign = "-" if nanousd < 0 else ""
    if amount >= _NO_CENTS:
        return f"{sign}${(amount + NANO // 2) // NANO:,}"
    places = 2
    if 0 < amount < NANO:
        # The first digit that is not zero stands at this place after the point.
        first = 10 - len(str(amount))
        places = min(max(2, first + _DIGITS - 1), 9)
    unit = 10 ** (9 - places)
    whole, rest = divmod((amount + unit // 2) // unit, 10**places)
    decimals = f"{rest:0{places}d}"
    decimals = decimals[:2] + decimals[2:].rstrip("0")
    return f"{sign}${whole:,}.{decimals}"


def axis(nanousd: int, step_nanousd: int) -> str:
    """`$0`, `$20`, `$1.50`, `$600M`: what stands beside a chart whose lines are this step apart."""
    if nanousd == 0:
        return "$0"
    if step_nanousd % NANO:
        return money(nanousd)
    whole = nanousd // NANO
    return f"${compact(whole) if whole >= _AXIS_COMPACT else count(whole)}"


def exact(nanousd: int) -> str:
    """All digits there are, and at least two decimals: `$0.000325128`, `$20.00`."""
    return f"{'-' if nanousd < 0 else ''}{exact_price(abs(nanousd) * FUSD_PER_NANOUSD)}"


def exact_price(fusd: int) -> str:
    """The same of femtodollars, which prices are in: `$0.075`, `$2.50`."""
    whole, _, decimals = exact_dollars(fusd).partition(".")
    return f"${int(whole):,}.{decimals:0<2}"


def count(number: int) -> str:
    """`1,204`."""
    return f"{number:,}"


def compact(number: int) -> str:
    """`950`, `12.3k`, `4.56M`: three significant digits."""
    for size, sign in _COMPACT:
        # What would round to a thousand of the smaller unit is one of this.
        if abs(number) * 2000 >= size * 1999:
            scaled = number / size
            places = 0 if abs(scaled) >= 99.95 else 1 if abs(scaled) >= 9.995 else 2
            text = f"{scaled:.{places}f}"
            return (text.rstrip("0").rstrip(".") if "." in text else text) + sign
    return str(number)


def permille(part: int, whole: int) -> int:
    """Tenths of a percent, half up; what is used of nothing is all of it."""
    if whole <= 0:
        return 1000 if part > 0 else 0
    return (2000 * part + whole) // (2 * whole)


def percent(part: int, whole: int) -> str:
    """`61.7%`, `100%`, `102.5%`."""
    tenths = permille(part, whole)
    return f"{tenths // 10:,}.{tenths % 10}%" if tenths % 10 else f"{tenths // 10:,}%"


def used(part: int, whole: int) -> str:
    """The same for a budget, which is not used up by rounding: `99.9%` until it is."""
    return "99.9%" if part < whole and permille(part, whole) == 1000 else percent(part, whole)


def change(now: int, before: int) -> str | None:
    """`+12%`, `−4%`, `26×`: against the range before; None where there was nothing to compare with."""
    if before <= 0:
        return None
    if now >= _TIMES * before:
        return f"{now // before:,}×"
    difference = now - before
    tenths = (2000 * abs(difference) + before) // (2 * before)
    sign = "±" if tenths == 0 else "+" if difference > 0 else "−"
    if tenths >= 1000:
        return f"{sign}{(tenths + 5) // 10:,}%"
    return f"{sign}{tenths // 10}.{tenths % 10}%" if tenths % 10 else f"{sign}{tenths // 10}%"


def span(us: int) -> str:
    """A stretch of time in its two largest units: `6 h 12 min`, `3 d 4 h`, `42 s`."""
    seconds = max(us, 0) // SECOND_US
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 14 else f"{days} d"


def ago(us: int, now_us: int) -> str:
    """`just now`, `2 min ago`, `3 d ago`."""
    passed = now_us - us
    if passed < 10 * SECOND_US:
        return "just now"
    for size, unit in ((DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "min"), (SECOND_US, "s")):
        if passed >= size:
            return f"{passed // size:,} {unit} ago"
    return "just now"


def latency(us: int) -> str:
    """How long a call took: `840 ms`, `12.4 s`, `3 min 5 s`."""
    if us < SECOND_US:
        return f"{max(us, 0) // 1000} ms"
    if us < 100 * SECOND_US:
        return f"{us / SECOND_US:.1f} s"
    minutes, seconds = divmod(us // SECOND_US, 60)
    return f"{minutes} min {seconds} s"


def moment(us: int) -> str:
    """`24 Nov 2026, 16:40 UTC`."""
    return f"{day(us)}, {at(us):%H:%M} UTC"


def moment_exact(us: int) -> str:
    """`24 Nov 2026, 16:40:05 UTC`."""
    return f"{day(us)}, {at(us):%H:%M:%S} UTC"


def day(us: int) -> str:
    """`24 Nov 2026`."""
    date = at(us)
    return f"{date.day} {date:%b %Y}"


def iso_date(us: int) -> str:
    """`2026-11-24`, for the fields of forms."""
    return f"{at(us):%Y-%m-%d}"


def resets(period: Period) -> str:
    """When the budget starts anew, in words."""
    return _RESETS[period]


def summary(budget_nanousd: int, period: Period) -> str:
    """`$20.00 each day, resets at midnight UTC`."""
    return f"{exact(budget_nanousd)} each {period.value}, {resets(period)}"


def shortened(text: str, most: int) -> str:
    """Cut in the middle, where names of one kind are alike least often."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 3
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"
