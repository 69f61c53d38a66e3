"""What a call can cost at most: what strict enforcement holds before it lets a call go.

A bound is either true or refused as `Unboundable`. Input is priced at the dearest that it may be billed at, fresh or
written to a cache, and the whole request at the long prices where the bound reaches them. What the body does not show
(an earlier answer, a file, what a hosted tool finds) counts as a full context window; so does a picture that no
documented rule bounds. The output is the smaller of what the request declares and the model can do, for each answer.
It holds as far as the upstream honours the output limit and bills at the model and tier that were asked for.

The input of text is its bytes, since no byte is more than one token. Where that does not fit into the budget, call
`counted_input` in a thread and `upper_bound` again with what it returns.
"""

from metering.asks import Ask, Family
from metering.ceilings import (
    OUTPUT_RATES,
    Unboundable,
    always_searches,
    dearest,
    dearest_rates,
    in_its_region,
    input_rate,
    tool_calls,
    tool_fee,
)
from metering.facts import fact
from metering.manners import manner_of
from metering.money import ceil_nanousd
from metering.pictures import most_made, most_tokens, partial_made
from metering.pricing import PriceRow, Rates

CLAMPABLE = (Family.CHAT, Family.COMPLETIONS, Family.RESPONSES, Family.MESSAGES)
"""Families whose output limit is a field of its own at the top of the body."""
IMAGE_FAMILIES = (Family.IMAGE_GENERATION, Family.IMAGE_EDIT, Family.IMAGE_VARIATION)
AUDIO_FAMILIES = (Family.TRANSCRIPTION, Family.TRANSLATION)
EMBEDDING_FAMILIES = (Family.EMBEDDINGS, Family.OLLAMA_EMBED, Family.GEMINI_EMBED)

FLOOR_TOKENS = 16
"""Below this an answer is of no use; some providers bill it whatever smaller limit is asked for."""
FLOOR_TOKENS_REASONING = 1_024

_TEMPLATE_TOKENS = 64
"""What the template of one of OpenAI's models puts around the shortest request."""
_FOREIGN_TEMPLATE_TOKENS = 2_048
"""The same for any other: some hosts put a prompt of their own before each request, or one on the use of tools."""
_TOOL_TEMPLATE_TOKENS = 1_024
"""What the provider writes itself for a kind of tool that it defines, and once for the use of tools."""
_AUDIO_TOKENS_PER_S = 32
"""The most that any provider documents; OpenAI's models take 10."""


@fact
class Bound:
    """The most that a call can cost, in the parts that a lower output limit leaves and changes."""

    nanousd: int
    input_nanousd: int
    """What the output limit does not change: input, fees, predicted output."""
    output_unit_fusd: int
    """Femtodollars of one more token of the output limit, for all answers together."""
    output_tokens: int
    """The limit of one answer that `nanousd` reckons with."""
    floor_tokens: int
    """A lower limit than this is not worth the call."""
    clampable: bool
    """The output limit can be lowered in the body."""


def upper_bound(row: PriceRow, ask: Ask, input_tokens: int | None = None) -> Bound:
    """The bound of a call. `row` is the dearest that the asked name may be billed at; `input_tokens` is what
    `counted_input` returned, where that was called. Raises Unboundable.
    """
    if ask.other_models:
        raise Unboundable("it lets the provider choose among several models")
    if ask.background:
        raise Unboundable("a background response bills after its call has ended")
    if ask.compacts:
        raise Unboundable("shortening the conversation is a call of its own, whose cost nothing bounds")
    if ask.family in IMAGE_FAMILIES:
        return _images(row, ask)
    if ask.family is Family.SPEECH:
        return _speech(row, ask)
    if ask.family in AUDIO_FAMILIES:
        return _audio(row, ask)
    return _text(row, ask, input_tokens)


def text_tokens_most(row: PriceRow, ask: Ask) -> int:
    """The tokens of the text of a request at most, from its bytes."""
    is_foreign = not manner_of(row.name).is_openai and ask.family not in EMBEDDING_FAMILIES
    return ask.text_bytes + (_FOREIGN_TEMPLATE_TOKENS if is_foreign else _TEMPLATE_TOKENS)


def _text(row: PriceRow, ask: Ask, counted: int | None) -> Bound:
    calls = tool_calls(row, ask)
    visible = _visible_input(row, ask, counted)
    whole = None if row.context_tokens is None else row.context_tokens * ask.prompts
    hidden = ask.hidden_input or calls is not None or visible is None
    most_input = visible
    if hidden:
        if whole is None:
            raise Unboundable(
                f"some of its input cannot be seen, and the price book states no context window for {row.name}"
            )
        most_input = whole * ((calls or 0) + 1)
    elif whole is not None and visible is not None:
        most_input = min(visible, whole)
    tokens = most_input or 0
    rates = dearest_rates(row, ask, tokens)
    fixed_fusd = tokens * in_its_region(row, ask, input_rate(row, rates, ask, mixed=hidden or ask.has_media))
    fixed_fusd += (rates.call or 0) + (calls or 0) * tool_fee(row, ask)
    if ask.family in EMBEDDING_FAMILIES:
        return _fixed(row, fixed_fusd)
    unit_fusd = ask.answers * in_its_region(row, ask, dearest(row, rates, OUTPUT_RATES, "output"))
    fixed_fusd += ask.predicted_bytes * unit_fusd
    draws = _draws(rates)
    most = max(_output_limit(row, None if draws else ask.output_limit), FLOOR_TOKENS)
    fixed = ceil_nanousd(fixed_fusd)
    # Without a limit, some providers complete a legacy prompt by 16 tokens: a limit of ours would raise that.
    raises = ask.family is Family.COMPLETIONS and ask.output_limit is None
    return Bound(
        nanousd=fixed + ceil_nanousd(most * unit_fusd),
        input_nanousd=fixed,
        output_unit_fusd=unit_fusd,
        output_tokens=most,
        floor_tokens=_floor(row, ask),
        clampable=ask.family in CLAMPABLE and not raises and not draws,
    )


def _visible_input(row: PriceRow, ask: Ask, counted: int | None) -> int | None:
    """Tokens of what stands in the body; None where only the context window bounds them."""
    total = text_tokens_most(row, ask)
    if counted is not None:
        total = min(total, counted)
    total += ask.built_in_tools * _TOOL_TEMPLATE_TOKENS
    for image in ask.image_inputs:
        tokens = most_tokens(row.name, image)
        if tokens is None:
            return None
        total += tokens
    if ask.audio_inputs:
        if ask.audio_most_ms is None:
            return None
        total += -(-(ask.audio_most_ms + 1_000 * ask.audio_inputs) * _AUDIO_TOKENS_PER_S // 1_000)
    # A model that searches whether it is asked to or not reads what it finds.
    return None if always_searches(row) else total


def _draws(rates: Rates) -> bool:
    """Whether the answer may hold pictures at a price of their own; no limit of tokens is known to cut one short."""
    return (rates.output_image or 0) > (rates.output or 0)


def _floor(row: PriceRow, ask: Ask) -> int:
    """A limit at or below what is set aside for thinking is refused by the provider."""
    floor = FLOOR_TOKENS_REASONING if row.reasoning else FLOOR_TOKENS
    return max(floor, ask.thinking_tokens + 1) if ask.thinking_tokens else floor


def _output_limit(row: PriceRow, declared: int | None) -> int:
    known = [tokens for tokens in (declared, row.output_tokens_max) if tokens is not None]
    if known:
        return min(known)
    if row.context_tokens is not None:
        return row.context_tokens
    raise Unboundable(
        f"it declares no output limit, and the price book states no maximum for {row.name}; declare one"
    )


def _images(row: PriceRow, ask: Ask) -> Bound:
    rates = dearest_rates(row, ask, 0)
    if rates.images is not None and not rates.bills_tokens:
        return _fixed(row, ask.images * rates.images.rate(ask.image_size, ask.image_quality))
    made = most_made(row.name, ask.image_size, ask.image_quality)
    if made is None:
        raise Unboundable(f"how many tokens an image of {row.name} has at most is not published")
    fixed_fusd = text_tokens_most(row, ask) * input_rate(row, rates, ask, mixed=False)
    for image in ask.image_inputs:
        tokens = most_tokens(row.name, image)
        if tokens is None:
            raise Unboundable(f"how many tokens an image is to {row.name} is not published")
        fixed_fusd += tokens * dearest(row, rates, ("input_image", "cache_write"), "image input")
    tokens_made = ask.images * made + partial_made(ask.partial_images) * ask.images
    return _fixed(row, fixed_fusd + tokens_made * dearest(row, rates, OUTPUT_RATES, "image output"))


def _speech(row: PriceRow, ask: Ask) -> Bound:
    rates = dearest_rates(row, ask, 0)
    by_character = ask.characters * (rates.character or 0)
    if rates.character is not None and not rates.bills_tokens:
        return _fixed(row, by_character)
    if row.output_tokens_max is None:
        raise Unboundable(f"how long {row.name} may speak is not published")
    by_token = text_tokens_most(row, ask) * input_rate(row, rates, ask, mixed=False)
    by_token += row.output_tokens_max * dearest(row, rates, OUTPUT_RATES, "audio output")
    return _fixed(row, max(by_character, by_token))


def _audio(row: PriceRow, ask: Ask) -> Bound:
    rates = dearest_rates(row, ask, 0)
    if ask.audio_most_ms is None or not ask.audio_inputs:
        raise Unboundable(
            "nothing in the file proves how long its audio is; "
            "send WAV, FLAC or MP3, MP4 with AAC, or Ogg or WebM with Opus"
        )
    # Durations are billed in whole seconds.
    length_ms = ask.audio_most_ms + 1_000 * ask.audio_inputs
    if rates.millisecond is not None and not rates.bills_tokens:
        return _fixed(row, length_ms * rates.millisecond)
    if row.output_tokens_max is None:
        raise Unboundable(f"how long a transcript of {row.name} may be is not published")
    heard = -(-length_ms * _AUDIO_TOKENS_PER_S // 1_000)
    fixed_fusd = (text_tokens_most(row, ask) + heard) * input_rate(row, rates, ask, mixed=True)
    fixed_fusd += length_ms * (rates.millisecond or 0)
    return _fixed(row, fixed_fusd + row.output_tokens_max * dearest(row, rates, OUTPUT_RATES, "output"))


def _fixed(row: PriceRow, fusd: int) -> Bound:
    """A bound that no output limit changes."""
    nanousd = ceil_nanousd(fusd)
    return Bound(
        nanousd=nanousd,
        input_nanousd=nanousd,
        output_unit_fusd=0,
        output_tokens=0,
        floor_tokens=FLOOR_TOKENS,
        clampable=False,
    )
