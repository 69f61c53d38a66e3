"""What stands in the prompt beside text: images, audio, files, and references to what only the provider has.

Families spell a part by its `type`, and no two use one spelling for different things, so one table serves all. Parts
of an unknown type may be anything: they count as hidden input.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field

from metering.asks.ask import ImageInput
from metering.asks.family import Family
from metering.asks.fields import Body, record, records
from metering.media import audio_length, image_size

_HEADER_CHARACTERS = (4_096, 262_144)
"""Base64 that is looked into for an image's size: most state it at the start, some photographs far behind."""

_TEXT = frozenset(
    {
        "text",
        "input_text",
        "output_text",
        "refusal",
        "thinking",
        "redacted_thinking",
        "reasoning",
        "reasoning_text",
    }
    | {"summary_text", "tool_use", "server_tool_use", "mcp_tool_use", "search_result"}
    | {"web_search_tool_result", "code_execution_tool_result", "encrypted_content"}
    | {"bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_reference", None}
)
_SHOWN_ITEMS = frozenset(
    {None, "message", "reasoning", "image_generation_call"}
    | {"function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
    | {"computer_call", "computer_call_output", "local_shell_call", "local_shell_call_output"}
    | {"shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output"}
    | {"mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response"}
    | {"tool_search_call", "tool_search_output"}
)
"""Items that are whole in the body. Others stand for something longer, which the provider keeps."""

_SHOWN_IN_EMBEDDINGS = frozenset({"type", "text", "content"})


@dataclass(slots=True)
class Inputs:
    """What has been found up to now."""

    images: list[ImageInput] = field(default_factory=list)
    audio: int = 0
    audio_ms: int | None = 0
    audio_most_ms: int | None = 0
    audio_bytes: int = 0
    media_bytes: int = 0
    hidden: bool = False
    long_cache: bool = False

    def see(self, url: object, detail: object = None) -> None:
        """An image: base64, a data URL, or an address that only the provider reads."""
        width = height = None
        if isinstance(url, str) and not url.startswith(("http://", "https://")):
            self.media_bytes += len(url)
            width, height = _size(url)
        self.images.append(ImageInput(width, height, detail if isinstance(detail, str) else "auto"))

    def hear(self, base64: object) -> None:
        """Audio as base64 or as a data URL; an address is hidden input."""
        if not isinstance(base64, str) or base64.startswith(("http://", "https://")):
            self.hidden = True
            return
        self.media_bytes += len(base64)
        audio = _decoded(base64)
        self.audio += 1
        self.audio_bytes += len(audio)
        length = audio_length(audio)
        self.audio_ms = plus(self.audio_ms, None if length is None else length.ms)
        self.audio_most_ms = plus(self.audio_most_ms, None if length is None else length.most_ms)

    def skip(self, base64: object) -> None:
        """A file whose pages only the provider can count."""
        self.hidden = True
        if isinstance(base64, str) and not base64.startswith(("http://", "https://")):
            self.media_bytes += len(base64)


def plus(one: int | None, other: int | None) -> int | None:
    """The sum of two lengths; None where one is not known."""
    return None if one is None or other is None else one + other


def read_inputs(family: Family, body: Body) -> Inputs:
    """Everything in the prompt that is no text."""
    found = Inputs()
    if family is Family.CHAT:
        _chat(body, found)
    elif family in (Family.RESPONSES, Family.COMPACT):
        _responses(body, found)
    elif family is Family.MESSAGES:
        _messages(body, found)
    elif family in (Family.GEMINI, Family.GEMINI_EMBED):
        for holder in (body, *records(body.get("requests"))):
            _gemini(holder, found)
    elif family in (Family.OLLAMA_CHAT, Family.OLLAMA_GENERATE):
        for holder in (body, *records(body.get("messages"))):
            images = holder.get("images")
            for image in images if isinstance(images, list) else ():
                found.see(image)
    elif family is Family.EMBEDDINGS:
        for item in records(body.get("input")):
            _parts(item.get("content") or [item], found)
            found.hidden |= not _SHOWN_IN_EMBEDDINGS.issuperset(item)
    return found


def _chat(body: Body, found: Inputs) -> None:
    for message in records(body.get("messages")):
        content = message.get("content")
        if isinstance(content, list):
            _parts(content, found)
        if message.get("audio"):
            found.hidden = True
    # Google's OpenAI endpoint takes what is its own in a field of this name.
    if _stored_by_google(record(record(body.get("extra_body")).get("google"))):
        found.hidden = True
    found.long_cache = _long_cache(body)


def _responses(body: Body, found: Inputs) -> None:
    found.hidden = bool(body.get("previous_response_id") or body.get("conversation") or body.get("prompt"))
    # The pro mode works on a prompt of its own beside the client's.
    if record(body.get("reasoning")).get("mode") == "pro":
        found.hidden = True
    for item in records(body.get("input")):
        kind = item.get("type")
        if not isinstance(kind, str | None) or kind not in _SHOWN_ITEMS:
            found.hidden = True
        if kind == "reasoning" and not item.get("encrypted_content"):
            found.hidden = True
        if kind == "image_generation_call":
            found.see(item.get("result") or "https://")
        for key in ("content", "output"):
            part = item.get(key)
            if isinstance(part, list):
                _parts(part, found)
            elif isinstance(part, dict):
                _part(part, found)
    found.long_cache = _long_cache(body)


def _messages(body: Body, found: Inputs) -> None:
    found.long_cache = True
    found.hidden = bool(body.get("container"))
    for message in records(body.get("messages")):
        if isinstance(content := message.get("content"), list):
            _parts(content, found)


def _gemini(body: Body, found: Inputs) -> None:
    found.hidden |= _stored_by_google(body)
    for name in ("contents", "content", "systemInstruction", "system_instruction"):
        contents = body.get(name)
        for content in records([contents] if isinstance(contents, dict) else contents):
            _gemini_parts(content.get("parts"), found)


def _gemini_parts(parts: object, found: Inputs) -> None:
    for part in records([parts] if isinstance(parts, dict) else parts):
        inline = record(part.get("inlineData") or part.get("inline_data"))
        kind = str(inline.get("mimeType") or inline.get("mime_type") or "")
        if kind.startswith("image/"):
            found.see(inline.get("data"))
        elif kind.startswith("audio/"):
            found.hear(inline.get("data"))
        elif inline:
            found.skip(inline.get("data"))
        if part.get("fileData") or part.get("file_data"):
            found.hidden = True
        # What a function returns may have pictures and files of its own.
        for name in ("functionResponse", "function_response"):
            for inner in records(record(part.get(name)).get("parts")):
                _gemini_parts([inner], found)


def _stored_by_google(body: Body) -> bool:
    return bool(body.get("cachedContent") or body.get("cached_content"))


def _parts(parts: object, found: Inputs) -> None:
    for part in records(parts):
        _part(part, found)


def _part(part: Body, found: Inputs) -> None:
    kind = part.get("type")
    if kind in ("image_url", "input_image", "computer_screenshot"):
        image = part.get("image_url")
        holder = image if isinstance(image, dict) else part
        found.see(holder.get("url") if isinstance(image, dict) else image, holder.get("detail"))
    elif kind == "image":
        source = record(part.get("source"))
        found.see(source.get("data") or "https://")
    elif kind in ("input_audio", "audio"):
        found.hear(record(part.get("input_audio")).get("data") or part.get("data"))
    elif kind in ("file", "input_file", "document"):
        _file(part, found)
    elif kind in ("tool_result", "mcp_tool_result"):
        _parts(part.get("content"), found)
    elif kind == "web_fetch_tool_result":
        page = record(part.get("content")).get("content")
        _parts([page], found)
    elif not isinstance(kind, str | None) or kind not in _TEXT:
        found.hidden = True


def _file(part: Body, found: Inputs) -> None:
    source = record(part.get("source"))
    if source.get("type") == "text":
        return
    if source.get("type") == "content":
        _parts(source.get("content"), found)
        return
    found.skip(part.get("file_data") or record(part.get("file")).get("file_data") or source.get("data"))


def _long_cache(body: Body) -> bool:
    return bool(body.get("prompt_cache_retention") or body.get("prompt_cache_options"))


def _size(url: str) -> tuple[int | None, int | None]:
    for characters in _HEADER_CHARACTERS:
        found = image_size(_decoded(url[:characters]))
        if found is not None:
            return found
        if len(url) <= characters:
            break
    return None, None


def _decoded(base64: str) -> bytes:
    """The bytes of base64 or of a data URL, whose cut end is dropped; nothing where it is neither."""
    if base64.startswith("data:"):
        base64 = base64.partition(",")[2]
    try:
        return b64decode(base64[: len(base64) // 4 * 4])
    except (Base64Error, ValueError):
        return b""
