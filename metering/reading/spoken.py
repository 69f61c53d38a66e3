"""The texts in one event or one whole answer, family by family.

Each function adds to a `Spoken` what its format says: `text` is what a reader sees (content, refusals,
transcripts), `reasoning` what the model thought aloud, `tools` names and arguments of calls.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from metering.reading.values import Wire, record, records


@dataclass(slots=True)
class Spoken:
    """What has been put out up to now; base64 is counted, not kept."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    tool_calls: int = 0
    images: int = 0
    partial_images: int = 0
    audio_bytes: int = 0

    def add(self, kind: str, value: object) -> None:
        """Add a text; whatever is none is passed over."""
        if isinstance(value, str) and value:
            getattr(self, kind).append(value)

    def call(self, call: Wire, arguments: str) -> None:
        """Add a tool's name and its arguments, which may be text or a JSON value."""
        if isinstance(name := call.get("name"), str) and name:
            self.tool_calls += 1
            self.tools.append(name)
        value = call.get(arguments)
        self.add("tools", value if isinstance(value, str) else _compact(value))

    def hear(self, base64: object) -> None:
        """Count audio that stands here as base64."""
        if isinstance(base64, str):
            self.audio_bytes += len(base64) * 3 // 4


def _compact(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""
    except (ValueError, RecursionError):
        return ""


def chat(event: Wire, spoken: Spoken) -> None:
    """Chat and legacy completions: deltas, or the messages of a whole answer."""
    for choice in records(event.get("choices")):
        said = record(choice.get("delta")) or record(choice.get("message"))
        if said.get("content") is None:
            spoken.add("text", choice.get("text"))
        _content(said.get("content"), spoken)
        spoken.add("text", said.get("refusal"))
        _reasoning(said, spoken)
        for call in records(said.get("tool_calls")):
            spoken.call(record(call.get("function")), "arguments")
            spoken.call(record(call.get("custom")), "input")
        spoken.call(record(said.get("function_call")), "arguments")
        spoken.add("text", record(said.get("audio")).get("transcript"))
        spoken.hear(record(said.get("audio")).get("data"))
        spoken.images += sum(1 for _ in records(said.get("images")))


def _content(content: object, spoken: Spoken) -> None:
    # Cloudflare gives the value itself where JSON was asked for.
    spoken.add("text", _compact(content) if isinstance(content, dict) else content)
    for part in records(content):
        spoken.add("text", part.get("text"))
        spoken.add("text", part.get("refusal"))
        for thought in records(part.get("thinking")):
            spoken.add("reasoning", thought.get("text"))


def _reasoning(said: Wire, spoken: Spoken) -> None:
    """Providers repeat the same thoughts under several names: the first that has any counts."""
    for key in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(said.get(key), str) and said[key]:
            spoken.add("reasoning", said[key])
            return
    for detail in records(said.get("reasoning_details")):
        spoken.add("reasoning", detail.get("text") or detail.get("summary"))


_RESPONSE_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.output_audio_transcript.delta": "text",
    "response.audio_transcript.delta": "text",
    "response.audio.transcript.delta": "text",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.function_call_arguments.delta": "tools",
    "response.custom_tool_call_input.delta": "tools",
    "response.mcp_call_arguments.delta": "tools",
    "response.code_interpreter_call_code.delta": "tools",
    "response.shell_call_command.delta": "tools",
    "response.apply_patch_call_operation_diff.delta": "tools",
}
_AUDIO_DELTAS = ("response.audio.delta", "response.output_audio.delta")
_CALLS = ("function_call", "custom_tool_call", "mcp_call")


def responses(event: Wire, spoken: Spoken) -> None:
    """Responses: deltas and the items that begin; or the output of a whole answer."""
    kind = event.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        if kind in _RESPONSE_DELTAS:
            spoken.add(_RESPONSE_DELTAS[kind], event.get("delta"))
        elif kind in _AUDIO_DELTAS:
            spoken.hear(event.get("delta"))
        elif kind == "response.output_item.added":
            item = record(event.get("item"))
            if item.get("type") in _CALLS:
                spoken.call({"name": item.get("name")}, "")
        elif kind == "response.image_generation_call.partial_image":
            spoken.partial_images += 1
        elif kind == "response.image_generation_call.completed":
            spoken.images += 1
        return
    for item in records(event.get("output")):
        _item(item, spoken)


def _item(item: Wire, spoken: Spoken) -> None:
    _content(item.get("content"), spoken)
    for summary in records(item.get("summary")):
        spoken.add("reasoning", summary.get("text"))
    if item.get("type") in _CALLS:
        spoken.call(item, "input" if item.get("type") == "custom_tool_call" else "arguments")
    spoken.add("tools", item.get("code"))
    spoken.images += item.get("type") == "image_generation_call"


def messages(event: Wire, spoken: Spoken) -> None:
    """Anthropic: blocks that start and grow, or the content of a whole message."""
    delta = record(event.get("delta"))
    spoken.add("text", delta.get("text"))
    spoken.add("reasoning", delta.get("thinking"))
    spoken.add("tools", delta.get("partial_json"))
    blocks = [record(event.get("content_block")), *records(event.get("content"))]
    for block in blocks:
        spoken.add("text", block.get("text"))
        spoken.add("reasoning", block.get("thinking"))
        if block.get("type") in ("tool_use", "server_tool_use", "mcp_tool_use"):
            spoken.call(block, "input")


def gemini(event: Wire, spoken: Spoken) -> None:
    """Gemini: the parts of the candidates, in chunks and whole answers alike."""
    for candidate in records(event.get("candidates")):
        for part in records(record(candidate.get("content")).get("parts")):
            spoken.add("reasoning" if part.get("thought") else "text", part.get("text"))
            spoken.call(record(part.get("functionCall")), "args")
            spoken.add("tools", record(part.get("executableCode")).get("code"))
            inline = record(part.get("inlineData"))
            if str(inline.get("mimeType")).startswith("image/"):
                spoken.images += 1
            else:
                spoken.hear(inline.get("data"))


def ollama(event: Wire, spoken: Spoken) -> None:
    """Ollama: chat messages, or the response and thinking of a generate call."""
    message = record(event.get("message"))
    for said in (message, event):
        spoken.add("text", said.get("content"))
        spoken.add("reasoning", said.get("thinking"))
    spoken.add("text", event.get("response"))
    for call in records(message.get("tool_calls")):
        spoken.call(record(call.get("function")), "arguments")


def images(event: Wire, spoken: Spoken) -> None:
    """Images: partial and completed ones, or those of a whole answer."""
    kind = str(event.get("type"))
    spoken.partial_images += kind.endswith(".partial_image")
    spoken.images += kind.endswith(".completed") + sum(1 for _ in records(event.get("data")))


def audio(event: Wire, spoken: Spoken) -> None:
    """Speech and transcripts; the text of a finished transcript repeats its deltas."""
    if event.get("type") == "speech.audio.delta":
        spoken.hear(event.get("audio"))
    elif event.get("type") == "transcript.text.delta":
        spoken.add("text", event.get("delta"))
    elif event.get("type") is None:
        spoken.add("text", event.get("text"))


def any_of_them(event: Wire, spoken: Spoken) -> None:
    """An unknown family: each format reads what is its own, and their keys do not overlap."""
    readers: tuple[Callable[[Wire, Spoken], None], ...] = (chat, gemini, audio)
    if isinstance(kind := event.get("type"), str) and not kind.startswith(("speech.", "transcript.")):
        readers = (
            (responses, messages) if kind.startswith(("response.", "message", "content_")) else (images,)
        )
    for reader in readers:
        reader(event, spoken)
