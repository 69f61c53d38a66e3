"""A JSON request to an `Ask`."""

from metering.asks.ask import Ask
from metering.asks.family import Family
from metering.asks.fields import Body, clean_user, flag, name_of, record, whole, word
from metering.asks.inputs import Inputs, read_inputs
from metering.asks.limits import ANSWERS_MAX, answers, output_limit, prompts, thinking_tokens
from metering.asks.tools import built_in_tools, compacts, container_gigabytes, hosted_tools, max_tool_calls
from metering.errors import BodyError

_IMAGE_FAMILIES = (Family.IMAGE_GENERATION, Family.IMAGE_EDIT, Family.IMAGE_VARIATION)


def read_ask(family: Family, body: Body, body_bytes: int) -> Ask:
    """What a JSON body asks for. Raises BodyError where what decides the cost cannot be understood."""
    limit = output_limit(family, body)
    inputs = read_inputs(family, body)
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise BodyError("`stream_options` must be an object.")
    images = 0
    if family in _IMAGE_FAMILIES:
        images = whole(body, "n", 1, ANSWERS_MAX) or 1
        _edited(body, inputs)
    elif family is Family.TRANSCRIPTION or family is Family.TRANSLATION:
        inputs.hear(record(body.get("input_audio")).get("data") or body.get("file"))
    return Ask(
        family=family,
        model=name_of(body, "model"),
        body_bytes=body_bytes,
        stream=flag(body, "stream"),
        includes_usage=bool(options) and record(options).get("include_usage") is True,
        n=answers(family, body),
        prompts=prompts(family, body),
        output_limit=limit.tokens,
        output_limit_field=limit.field,
        service_tier=_service_tier(body),
        is_regional=(word(body.get("inference_geo")) or "global") != "global",
        user=_user(body),
        background=flag(body, "background") or flag(body, "deferred"),
        reasoning_effort=word(body.get("reasoning_effort") or record(body.get("reasoning")).get("effort")),
        hosted_tools=hosted_tools(family, body),
        max_tool_calls=max_tool_calls(family, body),
        container_gigabytes=container_gigabytes(body),
        built_in_tools=built_in_tools(family, body),
        audio_format=_audio_format(family, body),
        compacts=compacts(body),
        thinking_tokens=thinking_tokens(family, body),
        hidden_input=inputs.hidden,
        other_models=bool(body.get("models") or body.get("fallbacks") or body.get("preset")),
        long_cache=inputs.long_cache,
        predicted_bytes=_predicted(body),
        image_inputs=tuple(inputs.images),
        audio_inputs=inputs.audio,
        audio_ms=inputs.audio_ms,
        audio_most_ms=inputs.audio_most_ms,
        audio_bytes=inputs.audio_bytes,
        media_bytes=inputs.media_bytes,
        images=images,
        partial_images=(whole(body, "partial_images", 0, ANSWERS_MAX) or 0) if images else 0,
        image_size=word(body.get("size")) if images else None,
        image_quality=word(body.get("quality")) if images else None,
        characters=_characters(body) if family is Family.SPEECH else 0,
    )


def _service_tier(body: Body) -> str | None:
    """The tier that is asked for. Anthropic's fast mode is a `speed`, which the price book has as the fastest tier."""
    if body.get("speed") == "fast":
        return "ultrafast"
    return word(body.get("service_tier")) or word(body.get("serviceTier"))


def _user(body: Body) -> str | None:
    """The first that names anybody: `safety_identifier`, `user`, Anthropic's `metadata.user_id`."""
    for given in (body.get("safety_identifier"), body.get("user")):
        if user := clean_user(given):
            return user
    return clean_user(record(body.get("metadata")).get("user_id"))


def _audio_format(family: Family, body: Body) -> str | None:
    """The coding of the audio that the answer holds; None where the request does not say it."""
    if family is Family.SPEECH:
        return word(body.get("response_format"))
    return word(record(body.get("audio")).get("format"))


def _predicted(body: Body) -> int:
    prediction = body.get("prediction")
    return len(str(record(prediction).get("content")).encode(errors="replace")) if prediction else 0


def _edited(body: Body, inputs: Inputs) -> None:
    """Images that an edit starts from, as addresses, data URLs or stored files."""
    given = body.get("images") or body.get("image")
    for image in given if isinstance(given, list) else [given] if given else ():
        inputs.see(image if isinstance(image, str) else record(image).get("image_url") or "https://")
    if mask := body.get("mask"):
        inputs.see(mask if isinstance(mask, str) else record(mask).get("image_url") or "https://")


def _characters(body: Body) -> int:
    given = body.get("input")
    return len(given) if isinstance(given, str) else 0
