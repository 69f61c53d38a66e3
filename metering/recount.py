"""What a call consumed whose answer does not say: the request and what came out, by tokenizer.

It parses and counts: call it in a thread. Nothing a stranger sent makes it raise.
"""

import json
from dataclasses import replace

import orjson

from metering.asks import Ask, Family
from metering.bounds import AUDIO_FAMILIES, EMBEDDING_FAMILIES, IMAGE_FAMILIES
from metering.manners import manner_of
from metering.pictures import expected_made, expected_tokens, partial_made
from metering.pricing import PriceRow
from metering.prompts import definition_tokens, prompt_tokens
from metering.reading import Streamed
from metering.sounds import audio_tokens, expected_ms, spoken_bytes_tokens, spoken_tokens
from metering.tokens import count_tokens
from metering.usage import Usage

_TEMPLATE_TOKENS = 32
"""Eight for what the count may miss, and what single answers were billed beyond it."""
_PLAIN_ITEMS = frozenset(
    {None, "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)
"""Others hold objects of their own, such as the tools of a server, whose names and numbers are text to the model too."""
_DEFINITIONS_TOKENS = 128
_OUTPUTS = ("output_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens")
_COUNTED_BYTES_MAX = 8_000_000
"""A longer text does not fit into any context; its bytes bound it well enough."""


def estimate_usage(row: PriceRow, ask: Ask, body: bytes, put_out: Streamed) -> Usage:
    """The usage of a call without one. Blocks for about a second per 15 MB."""
    if ask.family in IMAGE_FAMILIES:
        return _images(row, ask, body, put_out)
    if ask.family is Family.SPEECH:
        return _speech(row, ask, body, put_out)
    if ask.family in AUDIO_FAMILIES:
        return _audio(row, ask, put_out)
    image = sum(expected_tokens(row.name, image) for image in ask.image_inputs)
    audio = audio_tokens(expected_ms(ask)) if ask.audio_inputs else 0
    total = _text_input(row, ask, body) + image + audio
    if row.context_tokens is not None:
        total = min(total, row.context_tokens * ask.prompts)
    image = min(image, total)
    audio = min(audio, total - image)
    if ask.family in EMBEDDING_FAMILIES:
        return Usage(input_tokens=total, input_image_tokens=image, input_audio_tokens=audio)
    return replace(
        _output(row, ask, put_out),
        input_tokens=total,
        input_image_tokens=image,
        input_audio_tokens=audio,
    )


def in_proportion(usage: Usage, row: PriceRow, ask: Ask, part: int, whole: int) -> Usage:
    """The usage of a whole answer of which a part was counted, both in bytes; no more output than the model can make."""
    if not 0 < part < whole:
        return usage
    most = usage.output_tokens * whole // part
    if row.output_tokens_max is not None:
        most = max(usage.output_tokens, min(most, row.output_tokens_max * ask.answers))
    grown = {name: getattr(usage, name) * most // max(1, usage.output_tokens) for name in _OUTPUTS}
    return replace(usage, **grown)


def counted_input(row: PriceRow, ask: Ask, body: bytes) -> int | None:
    """A second, tighter bound of the tokens of a request's text, for `upper_bound`: by tokenizer, 2 % and 32 more.

    None where the tokenizer or the template is not known for sure: then only the bytes bound it. Call it in a thread,
    after a first `upper_bound` by bytes did not fit into the budget.
    """
    manner = manner_of(row.name)
    if not manner.is_openai or ask.hidden_input or ask.built_in_tools:
        return None
    if ask.text_bytes > _COUNTED_BYTES_MAX or b'"encrypted_content"' in body:
        return None
    parsed = _parsed(body)
    if parsed is None or not _is_plain(parsed):
        return None
    tokens = prompt_tokens(ask.family, parsed, row.encoding, manner)
    tokens += -(-tokens * 2 // 100) + _TEMPLATE_TOKENS
    # Definitions are not modelled: twice their JSON and what a template may say of them is more than any was billed at.
    if definitions := definition_tokens(parsed, row.encoding, manner):
        tokens += 2 * definitions + _DEFINITIONS_TOKENS
    return tokens


def _is_plain(body: dict[str, object]) -> bool:
    """Whether all that a response goes on from is of kinds whose every text is counted."""
    items = body.get("input")
    return all(
        not isinstance(item, dict) or item.get("type") in _PLAIN_ITEMS
        for item in (items if isinstance(items, list) else ())
    )


def _text_input(row: PriceRow, ask: Ask, body: bytes) -> int:
    parsed = _parsed(body)
    if parsed is None:
        return -(-ask.text_bytes // 4)
    return prompt_tokens(ask.family, parsed, row.encoding, manner_of(row.name, ask.model))


def _parsed(body: bytes) -> dict[str, object] | None:
    try:
        found = orjson.loads(body)
    except ValueError:
        found = _parsed_leniently(body)
    return found if isinstance(found, dict) else None


def _parsed_leniently(body: bytes) -> object:
    """Texts cut amid a surrogate pair, which the fast parser refuses."""
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _output(row: PriceRow, ask: Ask, put_out: Streamed) -> Usage:
    reasoning = count_tokens(put_out.reasoning_text, row.encoding)
    audio = spoken_bytes_tokens(put_out.audio_bytes, ask.audio_format or "pcm16")
    image = put_out.images * expected_made(None, None) + partial_made(put_out.partial_images)
    texts = (
        count_tokens(put_out.text, row.encoding) + count_tokens(put_out.tool_text, row.encoding) + reasoning
    )
    manner = manner_of(row.name, ask.model)
    around = manner.answer if texts else 0
    around += put_out.tool_calls * manner.call + max(0, put_out.tool_calls - 1) * manner.parallel
    total = (texts * manner.text_percent + 50) // 100 + around + audio + image
    return Usage(
        output_tokens=total,
        reasoning_tokens=min(reasoning, total),
        output_audio_tokens=audio,
        output_image_tokens=image,
    )


def _images(row: PriceRow, ask: Ask, body: bytes, put_out: Streamed) -> Usage:
    made = max(put_out.images, 0 if put_out.partial_images else ask.images)
    if not row.rates(ask.service_tier, 0).bills_tokens:
        return Usage(images=made, image_size=ask.image_size, image_quality=ask.image_quality)
    image = sum(expected_tokens(row.name, image) for image in ask.image_inputs)
    tokens = made * expected_made(ask.image_size, ask.image_quality) + partial_made(put_out.partial_images)
    return Usage(
        input_tokens=_text_input(row, ask, body) + image,
        input_image_tokens=image,
        output_tokens=tokens,
        output_image_tokens=tokens,
        images=made,
        image_size=ask.image_size,
        image_quality=ask.image_quality,
    )


def _speech(row: PriceRow, ask: Ask, body: bytes, put_out: Streamed) -> Usage:
    """What is billed by characters is billed whole; audio tokens as far as audio came, and at most its text's."""
    if not row.rates(ask.service_tier, 0).bills_tokens:
        return Usage(characters=ask.characters)
    most = 2 * spoken_tokens(ask.characters)
    audio = min(spoken_bytes_tokens(put_out.audio_bytes, ask.audio_format), most)
    return Usage(
        input_tokens=_text_input(row, ask, body),
        output_tokens=audio,
        output_audio_tokens=audio,
        characters=ask.characters,
    )


def _audio(row: PriceRow, ask: Ask, put_out: Streamed) -> Usage:
    length_ms = expected_ms(ask)
    if not row.rates(ask.service_tier, 0).bills_tokens:
        return Usage(duration_ms=length_ms)
    heard = audio_tokens(length_ms)
    return Usage(
        input_tokens=heard,
        input_audio_tokens=heard,
        output_tokens=count_tokens(put_out.text, row.encoding),
        duration_ms=length_ms,
    )
