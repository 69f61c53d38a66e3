"""A process that was started to serve another one stops when that one is gone, however it went.

The starter keeps one end of a pipe for life and names the other end in the environment. The kernel closes the starter's
end even after SIGKILL; then this process sends itself SIGTERM and stops in order, as if it had been asked to.
"""

import os
import signal
import threading
from collections.abc import MutableMapping

VARIABLE = "LIFELINE_FD"
"""The environment variable with the number of the open file."""


def stop_with_starter(environ: MutableMapping[str, str]) -> None:
    """Call it once, early. Without a lifeline in the environment this does nothing."""
    # Taken out, because the number means nothing to the processes that this one may start.
    number = environ.pop(VARIABLE, "")
    if number.isascii() and number.isdecimal():
        threading.Thread(target=_watch, args=(int(number),), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1):
            continue
    except OSError:
        # It is no open file: the variable was not meant for this process.
        return
    os.kill(os.getpid(), signal.SIGTERM)
