"""What the hosted tools of a response did, as far as it is billed beside the tokens."""

from collections.abc import Iterator
from dataclasses import replace

from metering.asks.tools import container_gigabytes
from metering.reading.tokens import read_tokens
from metering.reading.values import Wire, count, name, record, records
from metering.usage import Usage

TOOL_ITEMS = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "shell_call", "image_generation_call"}
)

_DEFAULT_IMAGE_MODEL = "gpt-image-1"
"""The dearest of those that the tool may choose when the request names none."""

_MADE = ("completed", "generating")

_XAI_COUNTS = "server_side_tool_usage_details"


def with_tool_calls(usage: Usage, body: Wire) -> Usage:
    """The usage with the calls that really happened: completed output items, or the provider's own count of
    them.
    """
    items = [item for item in records(body.get("output")) if item.get("status") in ("completed", None)]
    stated = record(record(body.get("usage")).get(_XAI_COUNTS))
    requests = record(record(body.get("tool_usage")).get("web_search"))
    files = sum(item.get("type") == "file_search_call" for item in items)
    return replace(
        usage,
        web_searches=count(requests.get("num_requests")) or usage.web_searches or sum(map(_is_search, items)),
        file_searches=count(stated.get("file_search_calls")) or files,
        code_sessions=len(set(_containers(items))) * container_gigabytes(body),
    )


def image_usage(body: Wire) -> tuple[tuple[str, Usage], ...]:
    """The image tool's own tokens, billed under the image model's name.

    An item of a stream may still say `generating` when its image is there. Answers from before `tool_usage` tell only that images were made: then the images are counted, without
    tokens.
    """
    model = next(
        (
            named
            for tool in records(body.get("tools"))
            if tool.get("type") == "image_generation" and (named := name(tool.get("model")))
        ),
        _DEFAULT_IMAGE_MODEL,
    )
    made = [
        item
        for item in records(body.get("output"))
        if item.get("type") == "image_generation_call" and item.get("status") in _MADE
    ]
    size = next((size for item in made if (size := name(item.get("size")))), None)
    quality = next((quality for item in made if (quality := name(item.get("quality")))), None)
    stated = record(record(body.get("tool_usage")).get("image_gen"))
    tokens = as_image_output(read_tokens(stated) or Usage(), stated)
    if not tokens.total_tokens and not made:
        return ()
    return ((model, replace(tokens, images=len(made), image_size=size, image_quality=quality)),)


def as_image_output(usage: Usage, wire: Wire) -> Usage:
    """What an image model puts out is image tokens, where the answer does not split them."""
    if record(wire.get("output_tokens_details")) or record(wire.get("completion_tokens_details")):
        return usage
    return replace(usage, output_image_tokens=usage.output_tokens)


def _is_search(item: Wire) -> bool:
    """Opening a page and finding in it belong to the search that found it."""
    action = record(item.get("action")).get("type")
    return item.get("type") == "web_search_call" and action in ("search", None)


def _containers(items: list[Wire]) -> Iterator[str]:
    """A session is a container: calls in the same one are billed once."""
    for item in items:
        container = name(item.get("container_id")) or name(
            record(item.get("environment")).get("container_id")
        )
        if item.get("type") == "code_interpreter_call":
            yield container or ""
        elif item.get("type") == "shell_call" and container:
            yield container
