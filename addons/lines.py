"""The one line that is written for each call, the refused ones included."""

import logging

from addons.calls import Call
from addons.logs import CALLS
from addons.refusals import Refusal
from metering.entries import Settlement
from metering.limiters import Limiter
from metering.money import dollars


def write_line(call: Call, settlement: Settlement | None) -> None:
    """Who called what, how it ended, and what it cost. Never a key, a code, a prompt or an answer."""
    if not CALLS.isEnabledFor(logging.INFO):
        return
    tokens = 0 if settlement is None else settlement.usage.total_tokens
    facts = {
        "limiter": call.limiter.id,
        "user": call.user,
        "model": call.asked_model,
        "endpoint": call.endpoint,
        "status": call.status,
        "tokens": tokens,
        "cost": dollars(0 if settlement is None else settlement.cost_nanousd),
        "duration": round(call.duration_s, 3),
        "state": "released" if settlement is None else "settled",
        "basis": None if settlement is None else settlement.basis,
        "end": call.ending.value if call.ending is not None else None,
    }
    CALLS.info("call", extra={"facts": facts})


def write_refusal(
    limiter: Limiter, refusal: Refusal, endpoint: str, user: str | None, model: str | None
) -> None:
    """Who was refused, and why; user and model as far as they were known by then. Nothing has gone upstream."""
    if not CALLS.isEnabledFor(logging.INFO):
        return
    facts = {
        "limiter": limiter.id,
        "user": user,
        "model": model,
        "endpoint": endpoint,
        "status": refusal.status,
        "tokens": 0,
        "cost": dollars(0),
        "duration": 0,
        "state": "refused",
        "basis": None,
        "end": refusal.code,
    }
    CALLS.info("call", extra={"facts": facts})
