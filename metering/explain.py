"""`scripts/explain-cost MODEL USAGE.json|-`: how a cost comes about, line by line.

USAGE is a usage object as an API states it, or a whole answer that has one. Every line is quantity × price =
amount; the sum is rounded once, upwards, to a nanodollar. It prints what `cost` did and prices nothing
itself.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from metering.clock import now_us, parse_time
from metering.errors import PriceBookError
from metering.money import FUSD_PER_NANOUSD, ceil_nanousd, dollars, exact_dollars
from metering.pricing import Cost, CostLine, PriceBook, PriceRow, cost
from metering.reading import read_answer
from metering.usage import Reading

PROJECT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code: 1 for a model without a price, 2 for input that cannot be used."""
    options = _options(arguments)
    try:
        at_us = now_us() if options.date is None else parse_time(options.date)
        book = PriceBook.load(options.prices)
        raw = sys.stdin.buffer.read() if options.usage == "-" else Path(options.usage).read_bytes()
        reading = read_usage(raw)
    except (PriceBookError, OSError, ValueError) as error:
        sys.stderr.write(f"explain-cost: {error}\n")
        return 2
    row = book.find(options.model, at_us)
    if row is None:
        sys.stderr.write(f"explain-cost: {options.model} has no price in {book.path}.\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in explain(book, row, reading, options.tier, at_us))
    return 0


def read_usage(raw: bytes) -> Reading:
    """What a usage object, or an answer with one, says. Raises ValueError where there is no usage in it."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the usage is not JSON: {error}") from error
    reading = _read(raw)
    if reading.usage is None and isinstance(body, dict):
        reading = _read(orjson.dumps({"usage": body}))
    if reading.usage is None:
        raise ValueError("there is no usage in it")
    return reading


def explain(book: PriceBook, row: PriceRow, reading: Reading, tier: str | None, at_us: int) -> Iterator[str]:
    """The lines of the explanation, those of what is billed under another model's name included."""
    if reading.usage is None:
        return
    fallback = book.fallback(at_us)
    is_regional = reading.is_regional is True
    part = cost(row, reading.usage, tier or reading.service_tier, fallback=fallback, is_regional=is_regional)
    yield from _heading(row)
    yield from _position_lines(part)
    total = sum(line.amount_fusd for line in part.lines)
    for model, usage in reading.extras:
        other = book.find(model, at_us) or fallback
        extra = cost(other, usage, fallback=fallback, is_regional=is_regional)
        yield from ("", *_heading(other), *_position_lines(extra))
        total += sum(line.amount_fusd for line in extra.lines)
    nanousd = ceil_nanousd(total)
    exact = total == nanousd * FUSD_PER_NANOUSD
    yield ""
    yield f"sum      ${exact_dollars(total)}"
    yield f"charged  ${dollars(nanousd)}" + ("" if exact else "  (rounded up to a billionth of a dollar)")


def _heading(row: PriceRow) -> Iterator[str]:
    yield f"row      {row.key}, line {row.line} of the price book"
    yield f"since    {row.since or 'the first price of this model'}"
    yield f"source   {row.source}"
    yield f"checked  {row.checked}"


def _position_lines(part: Cost) -> Iterator[str]:
    for note in part.notes:
        yield f"note     {note}"
    width = max((len(line.what) for line in part.lines), default=0)
    for line in part.lines:
        flag = "  (no price of its own: the fallback's)" if line.what in part.missing else ""
        yield f"  {line.what:<{width}}  {_position(line)}{flag}"


def _position(line: CostLine) -> str:
    size, unit = line.unit
    price = exact_dollars(line.rate_fusd * size) + ("" if size == 1 else f" {unit}")
    return f"{line.quantity:>12,} × ${price} = ${exact_dollars(line.amount_fusd)}"


def _read(raw: bytes) -> Reading:
    return read_answer(None, 200, "application/json", raw)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="explain-cost", description="Show how a cost comes about.")
    parser.add_argument("model", help="the model's name, as an API states it")
    parser.add_argument(
        "usage", help="a JSON file with a usage object or a whole answer; - reads standard input"
    )
    parser.add_argument("--tier", help="the service tier that served the call; default: what the answer says")
    parser.add_argument("--date", help="the time of the call, RFC 3339 or a date; default: now")
    default = os.environ.get("PRICING_FILE") or str(PROJECT / "pricing.yaml")
    parser.add_argument("--prices", default=default, help="the price book; default: %(default)s")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
