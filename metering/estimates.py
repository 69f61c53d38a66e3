"""What a call is expected to cost, before anybody knows: the hold of soft enforcement.

The expectation is bounded: input from the bytes of the body by a learned ratio, output from a moving average, times
the answers, capped by what the request declares and the model can do. A missing limit therefore never holds a whole
budget. Both averages are kept for each limiter and model, in integers, with a weight of 1/16 for what is new.

This is also the one face of its neighbours: `bounds` (the most that a call can cost) and `recount` (what a call
without usage consumed).
"""

from dataclasses import dataclass

from metering.asks import Ask, Family
from metering.bounds import (
    AUDIO_FAMILIES,
    EMBEDDING_FAMILIES,
    FLOOR_TOKENS,
    IMAGE_FAMILIES,
    Bound,
    upper_bound,
)
from metering.ceilings import Unboundable
from metering.money import ceil_nanousd
from metering.pictures import expected_made, expected_tokens, partial_made
from metering.pricing import PriceRow, cost
from metering.recount import counted_input, estimate_usage, in_proportion
from metering.sounds import audio_tokens, expected_ms, spoken_tokens
from metering.usage import Usage

__all__ = [
    "Bound",
    "Learned",
    "Unboundable",
    "counted_input",
    "estimate_usage",
    "expected_cost",
    "in_proportion",
    "learn",
    "upper_bound",
]

START_OUTPUT_TOKENS = 512
START_OUTPUT_TOKENS_REASONING = 2_048
START_RATIO_PPM = 250_000
"""A token for four bytes, as in English prose; JSON and most code have less in a byte, other scripts more."""

_WEIGHT = 16
_MILLION = 1_000_000
_RATIO_MAX_PPM = 1_000 * _MILLION
"""An earlier answer of 115,886 tokens was continued by a body of 252 bytes; more than twice that is no ratio."""
_PLAIN_FAMILIES = frozenset({Family.CHAT, Family.COMPLETIONS, Family.RESPONSES, Family.MESSAGES})
_LEGACY_TOKENS = 16
"""What legacy completions put out where the request says nothing."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Moving averages of a limiter's calls to a model."""

    output_tokens: int
    """Of one answer."""
    input_ratio_ppm: int
    """Input tokens for a million bytes of body, whatever else than text is in it."""


def learn(learned: Learned | None, body_bytes: int, usage: Usage, answers: int = 1) -> Learned:
    """The averages after one more call. The first call sets them; `answers` is how many were generated."""
    output = min(usage.output_tokens // max(1, answers), 10**9)
    ratio = min(usage.input_tokens * _MILLION // max(1, body_bytes), _RATIO_MAX_PPM)
    if learned is None:
        return Learned(output, ratio)
    return Learned(_moved(learned.output_tokens, output), _moved(learned.input_ratio_ppm, ratio))


def _moved(average: int, value: int) -> int:
    """The average a sixteenth of the way nearer to the value, rounded away from it so that it arrives."""
    difference = value - average
    step = -(-abs(difference) // _WEIGHT)
    return average + (step if difference > 0 else -step)


def expected_cost(row: PriceRow, ask: Ask, learned: Learned | None, fallback: PriceRow | None = None) -> int:
    """Nanodollars that the call most likely costs: at least 1, unless the row is free. What the row has no price
    for is reckoned at the fallback row's, if one is given.
    """
    plain = _plain_cost(row, ask, learned)
    if plain is not None:
        nanousd = plain
    else:
        usage = expected_usage(row, ask, learned)
        nanousd = cost(row, usage, ask.service_tier, fallback=fallback or row).nanousd
    return nanousd if nanousd or (row.free and not ask.hosted_tools) else 1


def _plain_cost(row: PriceRow, ask: Ask, learned: Learned | None) -> int | None:
    """The same for the most frequent of calls, text in and text out, at a fifth of the time; None for any other."""
    if ask.family not in _PLAIN_FAMILIES or ask.has_media or ask.hosted_tools:
        return None
    given, _, _ = _input(row, ask, learned)
    made = _output(row, ask, learned) * ask.answers
    rates = row.rates(ask.service_tier, given)
    if rates.input is None or rates.output is None:
        return None
    return ceil_nanousd(given * rates.input + made * rates.output + (rates.call or 0))


def expected_usage(row: PriceRow, ask: Ask, learned: Learned | None) -> Usage:
    """What the call most likely consumes."""
    if ask.family in IMAGE_FAMILIES:
        return _images(row, ask)
    if ask.family is Family.SPEECH:
        return _speech(row, ask)
    if ask.family in AUDIO_FAMILIES:
        return _audio(row, ask)
    made = 0 if ask.family in EMBEDDING_FAMILIES else _output(row, ask, learned) * ask.answers
    tokens, audio, image = _input(row, ask, learned)
    calls = 1 if ask.max_tool_calls is None else min(1, ask.max_tool_calls)
    return Usage(
        input_tokens=tokens,
        input_audio_tokens=audio,
        input_image_tokens=image,
        output_tokens=made,
        web_searches=calls * any(tool.startswith("web_search") for tool in ask.hosted_tools),
        file_searches=calls * ("file_search" in ask.hosted_tools),
        code_sessions=calls
        * ask.container_gigabytes
        * any(tool.startswith(("code_", "shell")) for tool in ask.hosted_tools),
    )


def _input(row: PriceRow, ask: Ask, learned: Learned | None) -> tuple[int, int, int]:
    """Input tokens, and those of them that are audio and images. No more than the context takes.

    A body that shows all of its input has no more tokens than bytes, whatever was learned from others.
    """
    ratio = START_RATIO_PPM if learned is None else learned.input_ratio_ppm
    is_shown = not (ask.hidden_input or ask.hosted_tools)
    image = sum(expected_tokens(row.name, image) for image in ask.image_inputs) if ask.image_inputs else 0
    audio = audio_tokens(expected_ms(ask)) if ask.audio_inputs else 0
    text = -(-ask.text_bytes * (min(ratio, _MILLION) if is_shown else ratio) // _MILLION)
    total = text + image + audio
    if row.context_tokens is not None and total > row.context_tokens * ask.prompts:
        total = row.context_tokens * ask.prompts
        image = min(image, total)
        audio = min(audio, total - image)
    return total, audio, image


def _output(row: PriceRow, ask: Ask, learned: Learned | None) -> int:
    """Output tokens of one answer."""
    if learned is not None:
        expected = learned.output_tokens
    elif ask.family is Family.COMPLETIONS and ask.output_limit is None:
        expected = _LEGACY_TOKENS
    else:
        expected = START_OUTPUT_TOKENS_REASONING if row.reasoning else START_OUTPUT_TOKENS
    if ask.output_limit is not None:
        expected = min(expected, max(ask.output_limit, FLOOR_TOKENS))
    return expected if row.output_tokens_max is None else min(expected, row.output_tokens_max)


def _images(row: PriceRow, ask: Ask) -> Usage:
    measured = {"images": ask.images, "image_size": ask.image_size, "image_quality": ask.image_quality}
    if not row.rates(ask.service_tier, 0).bills_tokens:
        return Usage(**measured)  # type: ignore[arg-type]  # A count and two words.
    image = sum(expected_tokens(row.name, image) for image in ask.image_inputs)
    made = ask.images * (expected_made(ask.image_size, ask.image_quality) + partial_made(ask.partial_images))
    return Usage(
        input_tokens=image - (-ask.text_bytes * START_RATIO_PPM // _MILLION),
        input_image_tokens=image,
        output_tokens=made,
        output_image_tokens=made,
        **measured,  # type: ignore[arg-type]  # As above.
    )


def _speech(row: PriceRow, ask: Ask) -> Usage:
    if not row.rates(ask.service_tier, 0).bills_tokens:
        return Usage(characters=ask.characters)
    made = spoken_tokens(ask.characters)
    if row.output_tokens_max is not None:
        made = min(made, row.output_tokens_max)
    return Usage(
        input_tokens=-(-ask.text_bytes * START_RATIO_PPM // _MILLION),
        output_tokens=made,
        output_audio_tokens=made,
        characters=ask.characters,
    )


def _audio(row: PriceRow, ask: Ask) -> Usage:
    length_ms = expected_ms(ask)
    if not row.rates(ask.service_tier, 0).bills_tokens:
        return Usage(duration_ms=length_ms)
    heard = audio_tokens(length_ms)
    written = heard // 2
    if row.output_tokens_max is not None:
        written = min(written, row.output_tokens_max)
    return Usage(
        input_tokens=heard,
        input_audio_tokens=heard,
        output_tokens=written,
        duration_ms=length_ms,
    )
