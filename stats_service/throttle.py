"""How often a password may be tried: so many failures a minute and address, counted before the password is looked at.

An attempt counts as a failure until it has succeeded, so that parallel attempts cannot all be the fifth. An IPv6
address stands for its network of 64 bits, because whoever has one address there has all of them.
"""

import ipaddress
import threading
from collections import deque

from metering.clock import MINUTE_US

FAILURES_MAX = 5
ADDRESSES_MAX = 10_000
_NETWORK_BITS = 64


class Throttle:
    """Failures of the last minute by address. Used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, deque[int]] = {}

    def begin(self, address: str, now_us: int) -> bool:
        """Whether another attempt may be made; if so, it counts."""
        key = _network(address)
        with self._lock:
            # Taken out and put back at the end, so that the first entry is the one that was quiet the longest.
            failures = self._failures.pop(key, None) or deque()
            # A clock that was set back must not lock anybody out for longer than a minute.
            while failures and not 0 <= now_us - failures[0] < MINUTE_US:
                failures.popleft()
            is_allowed = len(failures) < FAILURES_MAX
            if is_allowed:
                failures.append(now_us)
            self._failures[key] = failures
            while len(self._failures) > ADDRESSES_MAX:
                del self._failures[next(iter(self._failures))]
            return is_allowed

    def succeeded(self, address: str, begun_us: int) -> None:
        """The attempt that began then was none of a stranger."""
        key = _network(address)
        with self._lock:
            failures = self._failures.get(key)
            if failures is not None and begun_us in failures:
                failures.remove(begun_us)

    def wait_s(self, address: str, now_us: int) -> int:
        """Whole seconds until the next attempt, at least one."""
        with self._lock:
            failures = self._failures.get(_network(address))
            oldest_us = failures[0] if failures else now_us
        return max(1, -(-(oldest_us + MINUTE_US - now_us) // 1_000_000))


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _NETWORK_BITS), strict=False))
