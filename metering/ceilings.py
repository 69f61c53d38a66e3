"""The dearest that a token and a tool may be billed at, whoever serves the call and however it is cached."""

from metering.asks import Ask, Family
from metering.manners import manner_of
from metering.pricing import PriceRow, Rates
from metering.pricing.row import DEFAULT_TIER, DISCOUNT_TIERS

INPUT_RATES = ("input", "cache_write", "input_audio", "input_image")
OUTPUT_RATES = ("output", "output_audio", "output_image")


class Unboundable(Exception):
    """Nothing bounds the cost of a call. The reason is half a sentence, for the refusal to word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def dearest_rates(row: PriceRow, ask: Ask, input_tokens: int) -> Rates:
    """The dearest prices that the request may be billed at: its tier's, or each tier's where the book does not know it.

    Who asks for a discount may be served, and billed, at the default.
    """
    tier = row.tier(ask.service_tier)
    if tier is None:
        tiers = tuple(row.tiers)
    elif tier in DISCOUNT_TIERS:
        tiers = (tier, DEFAULT_TIER)
    else:
        tiers = (tier,)
    rates = row.rates(tiers[0], 0)
    for name in tiers:
        for found in (row.rates(name, 0), row.rates(name, input_tokens)):
            if found is not rates:
                rates = rates.ceiling(found)
    return rates


def input_rate(row: PriceRow, rates: Rates, ask: Ask, *, mixed: bool) -> int:
    """Fresh or written to a cache, whichever is dearer; of any modality where the input is not text alone.

    Vendors other than OpenAI have their own ways to ask for a long-lived cache, at any depth of the body.
    """
    names = INPUT_RATES if mixed else INPUT_RATES[:2]
    may_be_long = ask.long_cache or not manner_of(row.name).is_openai
    return dearest(row, rates, (*names, "cache_write_long") if may_be_long else names, "input")


def dearest(row: PriceRow, rates: Rates, names: tuple[str, ...], what: str) -> int:
    """The highest of some rates, in femtodollars. Raises Unboundable where the row states none of them."""
    stated: list[int] = [rate for name in names if (rate := getattr(rates, name)) is not None]
    if not stated:
        raise Unboundable(f"{row.name} has no price for {what}")
    return max(stated)


def in_its_region(row: PriceRow, ask: Ask, rate_fusd: int) -> int:
    """The price of a token where the call asks to be computed in one region, rounded up; else as it is."""
    return -(-rate_fusd * (100 + row.fees.regional_percent) // 100) if ask.is_regional else rate_fusd


def always_searches(row: PriceRow) -> bool:
    """Whether a search is part of each call, asked for or not, and of its price."""
    return any(tier.ordinary.call for tier in row.tiers.values())


def tool_calls(row: PriceRow, ask: Ask) -> int | None:
    """How often hosted tools may be called; None where none is offered. Raises Unboundable."""
    is_included = ask.family is Family.CHAT and always_searches(row)
    offered = [tool for tool in ask.hosted_tools if not (is_included and tool == "web_search")]
    if not offered:
        return None
    is_limited = ask.family in (Family.RESPONSES, Family.MESSAGES) and "mcp" not in offered
    if is_limited and ask.max_tool_calls is not None:
        return ask.max_tool_calls
    if ask.family is Family.RESPONSES and is_limited:
        raise Unboundable(f"nothing limits how often `{offered[0]}` is called; set `max_tool_calls`")
    if ask.family is Family.MESSAGES and is_limited:
        raise Unboundable(f"nothing limits how often `{offered[0]}` is called; set its `max_uses`")
    raise Unboundable(f"nothing limits how often `{offered[0]}` is called")


def tool_fee(row: PriceRow, ask: Ask) -> int:
    """The dearest that one call of any offered tool costs beside the tokens. Raises Unboundable."""
    return max((_fee(row, tool, ask.container_gigabytes) for tool in ask.hosted_tools), default=0)


def _fee(row: PriceRow, tool: str, gigabytes: int) -> int:
    fees = row.fees
    if tool.startswith("web_search"):
        return max(fees.web_search, fees.web_search_preview)
    if tool == "file_search":
        return fees.file_search
    if tool.startswith(("code_interpreter", "code_execution")) or tool == "shell":
        return gigabytes * fees.code_session
    if tool.startswith(("web_fetch", "tool_search")):
        return 0
    raise Unboundable(f"what a call of the tool `{tool}` costs is not known")
