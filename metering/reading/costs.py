"""A provider's own figure for the cost of a call."""

from metering.reading.values import Wire, count, nanodollars, record

_TICKS_PER_NANODOLLAR = 10
"""xAI counts in ticks of 1e-10 USD."""


def provider_cost_nanousd(usage: Wire) -> int | None:
    """`cost` in dollars (OpenRouter, Vercel), `cost.total_cost` (Perplexity) or `cost_in_usd_ticks` (xAI),
    rounded up.

    With a key that the customer has left at OpenRouter (`is_byok`), `cost` is OpenRouter's fee alone: what the
    model's own provider bills stands beside it, and is spent as well.
    """
    stated = usage.get("cost")
    cost = nanodollars(record(stated).get("total_cost") if isinstance(stated, dict) else stated)
    if cost is not None:
        if usage.get("is_byok") is not True:
            return cost
        return cost + (nanodollars(record(usage.get("cost_details")).get("upstream_inference_cost")) or 0)
    ticks = count(usage.get("cost_in_usd_ticks"))
    return None if ticks is None else -(-ticks // _TICKS_PER_NANODOLLAR)
