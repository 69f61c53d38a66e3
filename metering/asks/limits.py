"""How much output a request allows, by family: which fields say it, and what they mean."""

from dataclasses import dataclass

from metering.asks.family import Family
from metering.asks.fields import Body, record, whole

TOKENS_MAX = 100_000_000
ANSWERS_MAX = 1_024

LIMIT_FIELDS: dict[Family, tuple[str, ...]] = {
    Family.CHAT: ("max_completion_tokens", "max_tokens"),
    Family.COMPLETIONS: ("max_tokens",),
    Family.RESPONSES: ("max_output_tokens",),
    Family.MESSAGES: ("max_tokens",),
    Family.GEMINI: ("generationConfig.maxOutputTokens", "generation_config.max_output_tokens"),
    Family.OLLAMA_CHAT: ("options.num_predict",),
    Family.OLLAMA_GENERATE: ("options.num_predict",),
}
"""By preference; a dot leads into an object."""


@dataclass(frozen=True, slots=True)
class OutputLimit:
    """The most that any of the fields allows, since servers differ in which of them they obey."""

    tokens: int | None = None
    field: str | None = None


_NO_LIMIT = OutputLimit()


def output_limit(family: Family, body: Body) -> OutputLimit:
    """The declared limit of one answer. Raises BodyError for what is no such limit."""
    found = _NO_LIMIT
    for field in LIMIT_FIELDS.get(family, ()):
        holder, _, name = field.rpartition(".")
        # Ollama writes "no limit" as a negative number.
        least = -(2**31) if name == "num_predict" else 0
        tokens = whole(record(body.get(holder)) if holder else body, name, least, TOKENS_MAX, field)
        if tokens is not None and tokens >= 0 and (found.tokens is None or tokens > found.tokens):
            found = OutputLimit(tokens, field)
    return found


def answers(family: Family, body: Body) -> int:
    """How many answers to each prompt are generated: `best_of` candidates are billed, whether shown or not."""
    if family is Family.CHAT:
        return whole(body, "n", 1, ANSWERS_MAX) or 1
    if family is Family.COMPLETIONS:
        n = whole(body, "n", 1, ANSWERS_MAX) or 1
        return max(n, whole(body, "best_of", 1, ANSWERS_MAX) or 1)
    if family is Family.GEMINI:
        given = record(body.get("generationConfig") or body.get("generation_config"))
        spellings = ("candidateCount", "candidate_count")
        return max(whole(given, name, 1, ANSWERS_MAX) or 1 for name in spellings)
    return 1


def prompts(family: Family, body: Body) -> int:
    """How many prompts stand in the request: a list of tokens is one, a list of texts or of lists is many."""
    if family is Family.COMPLETIONS:
        given = body.get("prompt")
    elif family in (Family.EMBEDDINGS, Family.OLLAMA_EMBED):
        given = body.get("input")
    elif family is Family.GEMINI_EMBED:
        given = body.get("requests")
    else:
        return 1
    if isinstance(given, list) and given and not isinstance(given[0], int):
        return len(given)
    return 1


def thinking_tokens(family: Family, body: Body) -> int:
    """What an Anthropic request sets aside for thinking out of its output limit; 0 where it leaves that open."""
    if family is not Family.MESSAGES:
        return 0
    return whole(record(body.get("thinking")), "budget_tokens", 0, TOKENS_MAX, "thinking.budget_tokens") or 0
