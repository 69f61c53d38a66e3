"""Expire the holds of dead workers: each is charged at its amount, because nobody knows what the call consumed."""

from metering import rows
from metering.clock import Clock
from metering.database import storing
from metering.ledger import Ledger
from metering.liveness import dead_workers, remove_stale_files


def expire_dead(ledger: Ledger, clock: Clock) -> dict[str, int]:
    """Expire what dead workers hold; returns how many holds of which worker. Raises StoreError.

    The ledger's own worker is alive without a look.
    """
    with storing("look for holds"):
        holding = [name for name in rows.holding_workers(ledger.connection) if name != ledger.worker]
    expired = {}
    for name in dead_workers(ledger.database, holding):
        count = ledger.expire_worker(name, clock())
        if count:
            expired[name] = count
    remove_stale_files(ledger.database)
    return expired
