"""A model of the price book: its names, and its prices in the order in which they came into force."""

from dataclasses import dataclass, field

from metering.clock import parse_time
from metering.pricing.row import PriceRow


@dataclass(frozen=True, slots=True)
class Model:
    """Rows are in ascending order of `since`; only the first may have none."""

    name: str
    aliases: tuple[str, ...]
    rows: tuple[PriceRow, ...]
    _later: tuple[tuple[int, PriceRow], ...] = field(init=False, repr=False)
    """The rows after the first, with the moment from which each is in force."""

    def __post_init__(self) -> None:
        later = ((row.since, row) for row in self.rows[1:])
        starts = tuple((parse_time(since.isoformat()), row) for since, row in later if since is not None)
        object.__setattr__(self, "_later", starts)

    def at(self, at_us: int) -> PriceRow:
        """The row in force at a moment; before the first, the first."""
        current = self.rows[0]
        for since_us, row in self._later:
            if since_us > at_us:
                break
            current = row
        return current
