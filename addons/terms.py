"""What a call is priced at before it leaves: the row, the hold, and in strict the bound that the hold may not exceed.

Pure: the limiter, what is asked, the price book and the moving averages go in; a `Terms` or a `Refusal` comes out. It does
not know whether there is money left; only the ledger does.
"""

from addons import refusals
from addons.refusals import Refusal
from metering.asks import Ask, Family
from metering.entries import Mode
from metering.estimates import Bound, Learned, Unboundable, expected_cost, upper_bound
from metering.facts import fact
from metering.limiters import Limiter
from metering.money import FUSD_PER_NANOUSD
from metering.pricing import PriceBook, PriceRow

_DEFAULT_MODELS = {
    Family.IMAGE_GENERATION: "gpt-image-1",
    Family.IMAGE_EDIT: "gpt-image-1",
    Family.IMAGE_VARIATION: "dall-e-2",
}
"""What is billed where a request names no model: the dearest that the endpoint may choose."""
_OUTPUT_LIMITS = {Family.RESPONSES: "max_output_tokens", Family.CHAT: "max_completion_tokens"}


@fact
class Terms:
    """How a call asks to be admitted."""

    model: str
    """What it is priced as: the asked model after the limiter's map."""
    row: PriceRow | None
    mode: Mode
    hold_nanousd: int
    at_least_nanousd: int | None = None
    bound: Bound | None = None
    dearest: PriceRow | None = None
    """Strict alone: what the bound reckons with."""


def asked_model(ask: Ask, in_path: str | None) -> str | None:
    """The path's deployment before the body's model before the endpoint's default."""
    return in_path or ask.model or _DEFAULT_MODELS.get(ask.family)


def terms_of(
    limiter: Limiter,
    ask: Ask,
    model: str,
    book: PriceBook,
    learned: Learned | None,
    at_us: int,
    input_tokens: int | None = None,
) -> Terms | Refusal:
    """The terms of a call, or why there are none. `input_tokens`: its input at most, where that was counted."""
    model = limiter.model_map.get(model, model)
    row = book.find(model, at_us)
    if row is None:
        if limiter.unpriced != "fallback":
            return refusals.model_not_priced(model)
        row = book.fallback(at_us)
    elif row.free and not ask.hosted_tools:
        return Terms(model=model, row=row, mode="free", hold_nanousd=0)
    if limiter.enforcement == "strict":
        return _strict(model, row, book.dearest(model, at_us) or row, ask, input_tokens)
    hold_nanousd = expected_cost(row, ask, learned, book.fallback(at_us))
    mode: Mode = "observe" if limiter.enforcement == "observe" else "soft"
    return Terms(model=model, row=row, mode=mode, hold_nanousd=hold_nanousd)


def clamped_output(bound: Bound, held_nanousd: int, declared: int | None) -> int:
    """The output limit that what is held pays for; never above what was declared."""
    left_fusd = (held_nanousd - bound.input_nanousd) * FUSD_PER_NANOUSD
    tokens = max(0, left_fusd // bound.output_unit_fusd)
    return tokens if declared is None else min(tokens, declared)


def output_limit_field(ask: Ask, base_host: str, *, is_azure: bool) -> str:
    """The field that limits the output: the one that is there, else what the upstream understands."""
    if ask.output_limit_field is not None:
        return ask.output_limit_field
    is_openai = base_host == "openai.com" or base_host.endswith(".openai.com") or is_azure
    if ask.family is Family.CHAT and not is_openai:
        return "max_tokens"
    return _OUTPUT_LIMITS.get(ask.family, "max_tokens")


def _strict(
    model: str, row: PriceRow, dearest: PriceRow, ask: Ask, input_tokens: int | None
) -> Terms | Refusal:
    try:
        bound = upper_bound(dearest, ask, input_tokens)
    except Unboundable as unknown:
        return refusals.unboundable(unknown.reason)
    if bound.nanousd == 0:
        return Terms(model=model, row=row, mode="free", hold_nanousd=0)
    at_least = None
    if bound.clampable and bound.output_unit_fusd > 0:
        at_least = bound.input_nanousd - (-bound.floor_tokens * bound.output_unit_fusd // FUSD_PER_NANOUSD)
        at_least = min(at_least, bound.nanousd)
    return Terms(
        model=model,
        row=row,
        mode="strict",
        hold_nanousd=bound.nanousd,
        at_least_nanousd=at_least,
        bound=bound,
        dearest=dearest,
    )
