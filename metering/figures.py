"""The latest known figures of each limiter in this process, for response headers; never for a decision.

They are the figures of the last commit that touched the limiter, moved by the settles and releases that are queued since:
what a client reads in a header includes the call that the header came with.
"""

from metering.entries import Admitted, Figures
from metering.inbox import EndJob

LIMITERS_MAX = 10_000


class FigureBoard:
    """Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._committed: dict[int, Figures] = {}
        self._holds: dict[int, tuple[int, Admitted]] = {}
        self._queued: dict[tuple[int, int], list[int]] = {}
        self._moves: dict[EndJob, tuple[tuple[int, int], int]] = {}

    def latest(self, limiter_key: int) -> Figures | None:
        """Budget, used and window, or None where this process has not touched the limiter yet."""
        known = self._committed.get(limiter_key)
        if known is None:
            return None
        moved = sum(self._queued.get((limiter_key, known.window.start_us), ()))
        return Figures(known.budget_nanousd, known.used_nanousd + moved, known.window) if moved else known

    def held(self, limiter_key: int, admitted: Admitted) -> None:
        """Remember what is held for a call, until its end is queued."""
        self._holds[admitted.request_id] = (limiter_key, admitted)

    def queued(self, job: EndJob) -> None:
        """The end of a call waits to be written."""
        hold = self._holds.pop(job.request_id, None)
        if hold is None:
            return
        limiter_key, admitted = hold
        cost = 0 if job.settlement is None else job.settlement.cost_nanousd
        place = (limiter_key, admitted.window.start_us)
        move = cost - admitted.held_nanousd
        self._moves[job] = (place, move)
        self._queued.setdefault(place, []).append(move)

    def written(self, job: EndJob) -> None:
        """The end of a call is in the database."""
        known = self._moves.pop(job, None)
        if known is None:
            return
        place, move = known
        moves = self._queued[place]
        moves.remove(move)
        if not moves:
            del self._queued[place]

    def committed(self, figures: dict[int, Figures]) -> None:
        """A commit has these figures."""
        for limiter_key, known in figures.items():
            # Taken out first, so that the dictionary is in the order of use and the oldest can go.
            self._committed.pop(limiter_key, None)
            self._committed[limiter_key] = known
        while len(self._committed) > LIMITERS_MAX:
            del self._committed[next(iter(self._committed))]
