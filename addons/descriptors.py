"""Open files: as many as the bound on connections may need, since the soft limit of most systems is far below.

A process that has none left accepts nobody, and reaches no upstream for whom it has accepted.
"""

import logging
import resource

log = logging.getLogger(__name__)

_EACH = 2
"""A client's own and the one of its upstream."""
_OTHERS = 128
"""Databases, locks, listeners, and upstreams that are about to be replaced."""


def make_room(connections: int) -> None:
    """Raise the limit of this process to what so many clients need; a warning says where the system does not let it."""
    wanted = _EACH * connections + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):
        allowed = soft
    if allowed < wanted:
        log.warning(
            "MAX_CONNECTIONS is %d, which needs %d open files, and the system allows %d.",
            connections,
            wanted,
            allowed,
        )
