"""The end of each call: what it is charged, queued before the client can know, and never lost by a fault of ours.

Whatever goes wrong here ends in a charge of the hold. Counting tokens where no usage came happens in one thread of its own,
so that neither the event loop nor other calls wait for it.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from addons.books import Books
from addons.calls import Call, End, Verdict
from metering.asks import Family
from metering.charging import charge
from metering.clock import monotonic_s
from metering.entries import Settlement
from metering.estimates import estimate_usage, in_proportion, learn
from metering.reading import Streamed, streamed_text
from metering.usage import Reading, Usage

log = logging.getLogger(__name__)

_SUCCESS = range(200, 300)


class Settling:
    """Resolves the holds of calls, each once."""

    def __init__(self, books: Books, on_end: Callable[[Call, Settlement | None], None]) -> None:
        """`on_end` hears of each call's settlement, or None where its hold was released."""
        self._books = books
        self._on_end = on_end
        self._counting: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="token-counter")

    def finish(self, call: Call, ending: End) -> Settlement | None:
        """The call has ended. Returns its settlement where that is queued by now; later ends do nothing."""
        if call.is_over:
            return None
        verdict: Verdict | None = Verdict.HOLD
        try:
            self._price_as_served(call)
            verdict = call.end(ending)
        except Exception:
            log.exception("What an answer says cannot be read; its call is charged at its hold.")
            call.ending = ending
        if verdict is None:
            return None
        if call.status in _SUCCESS:
            self._books.know_key(call.limiter.key, call.key)
        if call.is_unmetered:
            return self._unmetered(call, verdict)
        match verdict:
            case Verdict.RELEASE:
                self._release(call)
            case Verdict.REPORTED:
                return self._reported(call)
            case Verdict.HOLD:
                return self._hold(call)
            case Verdict.ESTIMATE | Verdict.ESTIMATE_OR_HOLD:
                least = call.admitted.held_nanousd if verdict is Verdict.ESTIMATE_OR_HOLD else 0
                task = asyncio.create_task(self._estimate(call, least))
                if not task.done():
                    self._counting.add(task)
                    task.add_done_callback(self._counting.discard)
        return None

    def _price_as_served(self, call: Call) -> None:
        """An estimate goes by the model that the answer names, which may say more than the name of a deployment."""
        said = call.said
        if said is None or said.model is None or said.usage is not None or call.is_unmetered:
            return
        name = call.limiter.model_map.get(said.model, said.model)
        call.row = self._books.prices.current().find(name, call.admitted.admitted_at_us) or call.row

    async def drain(self, deadline_s: float) -> None:
        """Wait until everything is counted."""
        if self._counting:
            await asyncio.wait(self._counting, timeout=deadline_s)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _reported(self, call: Call) -> Settlement:
        try:
            settlement = self._charged(call, call.said or Reading(), None)
        except Exception:
            log.exception("A call cannot be priced; it is charged at its hold.")
            return self._hold(call)
        return self._settle(call, settlement)

    def _charged(self, call: Call, reading: Reading, estimate: Usage | None) -> Settlement:
        if call.ask is None:
            raise ValueError("a metered call has an ask")
        found = charge(
            self._books.prices.current(),
            reading=reading,
            ask=call.ask,
            asked_model=call.asked_model,
            model_map=call.limiter.model_map,
            base_host=call.base_host,
            at_us=call.admitted.admitted_at_us,
            estimate=estimate,
        )
        learned = None
        if found.basis == "reported" and call.status in _SUCCESS and reading.usage is not None:
            place = (call.limiter.key, call.asked_model)
            learned = learn(self._books.learned(*place), call.ask.body_bytes, found.usage, call.ask.answers)
            self._books.learn(*place, learned)
        return Settlement(
            request_id=call.admitted.request_id,
            cost_nanousd=found.cost_nanousd,
            basis=found.basis,
            usage=found.usage,
            model_served=found.model_served,
            price_row=found.price_row,
            status=call.status,
            provider_cost_nanousd=found.provider_cost_nanousd,
            learned=learned,
        )

    async def _estimate(self, call: Call, least_nanousd: int) -> None:
        try:
            loop = asyncio.get_running_loop()
            usage = await loop.run_in_executor(self._threads, _count, call)
            settlement = self._charged(call, call.said or Reading(), usage)
            if settlement.cost_nanousd < least_nanousd:
                settlement = replace(settlement, cost_nanousd=least_nanousd)
        except Exception:
            log.exception("A call cannot be estimated; it is charged at its hold.")
            self._hold(call)
        except BaseException:
            self._hold(call)
            raise
        else:
            self._settle(call, settlement)

    def _hold(self, call: Call) -> Settlement:
        settlement = Settlement(
            request_id=call.admitted.request_id,
            cost_nanousd=call.admitted.held_nanousd,
            basis="estimated",
            usage=Usage(),
            status=call.status,
        )
        return self._settle(call, settlement)

    def _unmetered(self, call: Call, verdict: Verdict) -> Settlement | None:
        if verdict is Verdict.RELEASE:
            self._release(call)
            return None
        reading = call.said or Reading()
        settlement = Settlement(
            request_id=call.admitted.request_id,
            cost_nanousd=0,
            basis="unmetered",
            usage=reading.usage or Usage(),
            model_served=reading.model,
            status=call.status,
            provider_cost_nanousd=reading.provider_cost_nanousd,
        )
        return self._settle(call, settlement)

    def _settle(self, call: Call, settlement: Settlement) -> Settlement:
        if self._books.writer is not None:
            self._books.writer.settle(settlement)
        self._ended(call, settlement)
        return settlement

    def _release(self, call: Call) -> None:
        if self._books.writer is not None:
            self._books.writer.release(call.admitted.request_id, call.status)
        self._ended(call, None)

    def _ended(self, call: Call, settlement: Settlement | None) -> None:
        call.duration_s = monotonic_s() - call.started_s
        try:
            self._on_end(call, settlement)
        except Exception:
            log.exception("A call's line cannot be written.")


def _count(call: Call) -> Usage:
    """What the call consumed, counted; runs in a thread."""
    if call.ask is None or call.row is None:
        raise ValueError("a metered call has an ask and a row")
    usage = estimate_usage(call.row, call.ask, call.body, _put_out(call))
    if call.reader is None:
        return usage
    kept = sum(map(len, call.reader.kept))
    usage = in_proportion(usage, call.row, call.ask, kept, kept + call.reader.kept_truncated_bytes)
    partial = call.reader.partial_usage
    if partial is None:
        return usage
    # What an unfinished stream has said of its input is better than a count of it, and its output is a lower bound.
    known_input = {name: getattr(partial, name) for name in _INPUTS} if partial.input_tokens else {}
    return replace(
        usage,
        **known_input,
        output_tokens=max(usage.output_tokens, partial.output_tokens),
        web_searches=max(usage.web_searches, partial.web_searches),
        file_searches=max(usage.file_searches, partial.file_searches),
        code_sessions=max(usage.code_sessions, partial.code_sessions),
    )


def _put_out(call: Call) -> Streamed:
    if call.reader is not None:
        return streamed_text(call.family, call.reader.kept)
    if call.is_streamed:
        return Streamed(audio_bytes=call.passed_bytes)
    if call.content_type.startswith("text/"):
        return Streamed(text=call.kept.decode("utf-8", "replace"))
    if call.content_type.startswith("audio/") or call.family is Family.SPEECH:
        return Streamed(audio_bytes=len(call.kept))
    return streamed_text(call.family, [call.kept])


_INPUTS = (
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_long_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "cached_audio_tokens",
    "cached_image_tokens",
)
