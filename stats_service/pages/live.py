"""`/live`: figures that move, by server-sent events, from one query that all viewers share.

One task reads while anybody looks: where all limiters stand, and the newest calls of the limiters whose page is open. What
has changed since the last look goes to every viewer, already worded. Figures are absolute, so a viewer who is slow
loses events and never memory; a new one has just been served its page, and is told what may have moved since. Streams
end when the service stops and when a session does.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from metering.clock import HOUR_US, SECOND_US, rfc3339
from metering.errors import StoreError
from stats_service.pages import call_rows, formats
from stats_service.pages.calls import Call
from stats_service.pages.site import Site
from stats_service.pages.standing import SPARK_HOURS, Standing

LOOK_EVERY_S = 1.5
RECENT_US = 60 * SECOND_US
VIEWERS_MAX = 500
"""Streams at once; whoever comes beyond that sees figures that do not move."""
CALLS = 30
"""How many calls a limiter's page shows and keeps up to date."""
_PING_EVERY_S = 15.0
_QUEUED = 64
Event = bytes
_Figures = Mapping[str, tuple[object, ...]]


@dataclass(eq=False, slots=True)
class Viewer:
    """One open page. `limiter_id` is the limiter whose calls it shows, if any."""

    limiter_id: str | None
    is_new: bool = True
    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(_QUEUED))

    def send(self, event: Event | None) -> None:
        """Drop the oldest where the viewer does not keep up."""
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(event)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one reading found. Only limiters that somebody is told of have their sparkline read."""

    figures: _Figures
    told: Sequence[Standing]
    moved: set[str]
    """Which of them whoever looks already is told; a newcomer is told all."""
    calls: Mapping[str, Sequence[Call]]


class Hub:
    """The one reader and its viewers. Lives on the event loop."""

    def __init__(self, site: Site, every_s: float = LOOK_EVERY_S) -> None:
        self._site = site
        self._every_s = every_s
        self._viewers: set[Viewer] = set()
        self._task: asyncio.Task[None] | None = None
        self._figures: _Figures | None = None
        """What the viewers know; none of them has been told anything before the first look."""
        self._calls: dict[str, dict[int, str]] = {}
        self._row = site.templates.get_template("_call_row.html")
        self._parts = site.templates.get_template("_parts.html").make_module({})
        self._closed = False
        self.looks = 0
        """How often the database was read, however many look."""

    @property
    def has_room(self) -> bool:
        """Whether another stream may begin."""
        return len(self._viewers) < VIEWERS_MAX

    async def stream(self, limiter_id: str | None, is_valid: Callable[[], bool]) -> AsyncIterator[Event]:
        """The events of one viewer, until he leaves, his session ends or the hub closes."""
        viewer = Viewer(limiter_id)
        self._viewers.add(viewer)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look())
        try:
            yield b"retry: 3000\n\n"
            while not self._closed:
                event: Event | None = b": still here\n\n"
                with contextlib.suppress(TimeoutError):
                    event = await asyncio.wait_for(viewer.queue.get(), _PING_EVERY_S)
                if event is None:
                    return
                if not is_valid():
                    yield b"event: signed-out\ndata: {}\n\n"
                    return
                yield event
        finally:
            self._viewers.discard(viewer)

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        self._closed = True
        for viewer in self._viewers:
            viewer.send(None)
        if self._task is not None:
            self._task.cancel()

    async def _look(self) -> None:
        while self._viewers and not self._closed:
            watched = {viewer.limiter_id for viewer in self._viewers if viewer.limiter_id}
            newcomers = {viewer for viewer in self._viewers if viewer.is_new}
            # A database that is busy or gone is tried again.
            with contextlib.suppress(StoreError):
                look = await run_in_threadpool(self._read, watched, has_newcomers=bool(newcomers))
                self._publish(look, newcomers)
            await asyncio.sleep(self._every_s)
        self._figures = None
        self._calls.clear()

    def _read(self, watched: set[str], *, has_newcomers: bool) -> _Look:
        now_us = self._site.now_us()
        limiters = self._site.services.limiters.list()
        with self._site.reader() as connection:
            standings = self._site.standings(connection, limiters, now_us)
            figures = {one.id: _figures(one) for one in standings}
            known = figures if self._figures is None else self._figures
            moved = {key for key, found in figures.items() if known.get(key) != found}
            # A newcomer's page was served a moment ago; what others know may be news to it.
            recent_us = now_us - RECENT_US if has_newcomers else now_us
            told = [one for one in standings if one.id in moved or (one.last_call_us or 0) > recent_us]
            told = self._site.with_sparks(connection, told, now_us)
            calls = {
                one.id: call_rows.newest(connection, one, CALLS)[0] for one in limiters if one.id in watched
            }
        self.looks += 1
        return _Look(figures, told, moved, calls)

    def _publish(self, look: _Look, newcomers: set[Viewer]) -> None:
        for_new = [worded(one) for one in look.told]
        for_known = [one for one in for_new if one["id"] in look.moved]
        events = [_event("figures", bodies) if bodies else None for bodies in (for_known, for_new)]
        states = {key: {call.id: call.state for call in newest} for key, newest in look.calls.items()}
        # Who came during the reading is told what moved, and is a newcomer at the next.
        for viewer in self._viewers:
            is_newcomer = viewer in newcomers
            if event := events[is_newcomer]:
                viewer.send(event)
            watched = viewer.limiter_id
            if watched is not None and watched in look.calls:
                known = {} if viewer.is_new else self._calls.get(watched, {})
                rows = [call for call in look.calls[watched] if known.get(call.id) != call.state]
                if rows:
                    body = {"limiter": watched, "rows": [self._worded_row(call) for call in rows]}
                    viewer.send(_event("calls", body))
            viewer.is_new = viewer.is_new and not is_newcomer
        self._figures, self._calls = look.figures, states

    def _worded_row(self, call: Call) -> dict[str, object]:
        return {"id": call.id, "html": self._row.render(call=call, parts=self._parts)}


def worded(one: Standing) -> dict[str, object]:
    """Where a limiter stands, in the words and classes of the page."""
    last_us = one.last_call_us
    return {
        "id": one.id,
        "spent": formats.money(one.spent_nanousd),
        "spent_exact": formats.exact(one.spent_nanousd),
        "held": formats.money(one.held_nanousd),
        "held_exact": formats.exact(one.held_nanousd),
        "remaining": formats.money(one.remaining_nanousd),
        "remaining_exact": formats.exact(one.remaining_nanousd),
        "percent": one.percent,
        "requests": formats.count(one.requests),
        "status": one.status,
        "status_text": one.status_text,
        "level": one.level,
        "bar_spent": one.bar.spent,
        "bar_held": one.bar.held,
        "bar_text": one.bar_text,
        "end": rfc3339(one.end_us),
        "pace": str(one.pace.html),
        "last": None if last_us is None else rfc3339(last_us),
        "spark": one.spark.path if one.spark else None,
        "spark_text": one.spark.label if one.spark else None,
    }


def _figures(one: Standing) -> tuple[object, ...]:
    """What has to change for a viewer to be told. The pace drifts all the time and is told along."""
    return (
        one.spent_nanousd,
        one.held_nanousd,
        one.requests,
        one.budget_nanousd,
        one.is_active,
        one.enforcement,
        one.end_us,
        one.last_call_us,
        _hours_ago(one),
    )


def _hours_ago(one: Standing) -> int | None:
    """In which column of its sparkline the last call is: it wanders with the hours, until it is out of it."""
    if one.last_call_us is None:
        return None
    return min(one.now_us // HOUR_US - one.last_call_us // HOUR_US, SPARK_HOURS)


def _event(name: str, body: object) -> Event:
    return f"event: {name}\ndata: {json.dumps(body, separators=(',', ':'))}\n\n".encode()
