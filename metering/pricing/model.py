"""A model of the price book: its names, and its prices in the order in which they came into force."""

from dataclasses import dataclass

from metering.clock import parse_time
from metering.pricing.row import PriceRow


@dataclass(frozen=True, slots=True)
class Model:
    """Rows are in ascending order of `since`; only the first may have none."""

    name: str
    aliases: tuple[str, ...]
    rows: tuple[PriceRow, ...]

    def at(self, at_us: int) -> PriceRow:
        """The row in force at a moment; before the first, the first."""
        current = self.rows[0]
        for row in self.rows[1:]:
            if row.since is None or parse_time(row.since.isoformat()) > at_us:
                break
            current = row
        return current
