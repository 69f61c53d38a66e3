"""Sessions that were signed out before their time: their cookies are not taken again, not after a restart either.

They are looked up in memory. What cannot be written is forgotten with the process, and said.
"""

import logging
import threading
from contextlib import closing

from metering.clock import SECOND_US, Clock
from metering.database import Database, storing
from metering.errors import StoreError

_log = logging.getLogger(__name__)


class EndedSessions:
    """Used by any thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Read those that are known. Raises StoreError."""
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        with storing("read the ended sessions"), closing(database.open_reader()) as connection:
            self._until = dict(connection.execute("select id, until_s from ended_sessions"))

    def __contains__(self, identity: str) -> bool:
        with self._lock:
            return identity in self._until

    def add(self, identity: str, until_s: int) -> None:
        """Remember a session until its time is over. Waits for the disk."""
        now_s = self._clock() // SECOND_US
        with self._lock:
            self._until = {key: until for key, until in self._until.items() if until > now_s}
            self._until[identity] = until_s
        try:
            with self._database.transaction("remember an ended session") as connection:
                connection.execute("delete from ended_sessions where until_s <= ?", (now_s,))
                connection.execute("insert or ignore into ended_sessions values (?, ?)", (identity, until_s))
        except StoreError as failure:
            _log.error("A session that was signed out would be taken again after a restart. %s", failure)
