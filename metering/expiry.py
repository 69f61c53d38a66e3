"""Expire the holds of dead workers: each is charged at its amount, because nobody knows what the call consumed."""

from metering import rows
from metering.clock import Clock
from metering.database import storing
from metering.ledger import Ledger
from metering.liveness import dead_workers, remove_stale_files


def expire_dead(ledger: Ledger, clock: Clock, missing: set[str]) -> dict[str, int]:
    """Expire what dead workers hold; returns how many holds of which worker. Raises StoreError.

    The ledger's own worker is alive without a look. `missing` is the caller's memory from one look to the next: the
    workers whose lock files he has missed.
    """
    expired = {}
    for name in dead_workers(ledger.database, _holding(ledger), missing):
        count = ledger.expire_worker(name, clock())
        if count:
            expired[name] = count
    remove_stale_files(ledger.database, lambda: _holding(ledger))
    return expired


def _holding(ledger: Ledger) -> list[str]:
    """All others that hold something."""
    with storing("look for holds"):
        return [name for name in rows.holding_workers(ledger.connection) if name != ledger.worker]
