"""Tools that the provider runs itself. Anything that is not known to run at the client is one of them."""

import re

from metering.asks.family import Family
from metering.asks.fields import Body, record, records, whole
from metering.asks.limits import TOKENS_MAX

_CLIENT_TYPES = frozenset(
    {
        "function",
        "custom",
        "local_shell",
        "apply_patch",
        "computer",
        "computer_use",
        "computer_use_preview",
    }
)
_ANTHROPIC_CLIENT_TYPES = ("bash_", "text_editor_", "computer_", "memory_")
_GEMINI_CLIENT_TOOLS = frozenset(
    {"functionDeclarations", "function_declarations", "computerUse", "computer_use"}
)
_SWITCHES = {
    "web_search_options": "web_search",
    "search_parameters": "web_search",
    "plugins": "plugins",
    "data_sources": "data_sources",
    "mcp_servers": "mcp",
}
"""Fields that switch a tool on by themselves, an empty object with its defaults."""
_SEARCHING_ROUTE = ":online"
"""What follows a model's name at OpenRouter to have it search."""
_MEMORY = re.compile(r"(?P<size>[1-9][0-9]{0,3})g")
_FUNCTION_MEMBERS = ("function", "name")
"""What a tool without a type has, if it is a function of the client."""


def hosted_tools(family: Family, body: Body) -> tuple[str, ...]:
    """The kinds of hosted tools that a request offers, as it spells them."""
    found = [tool for field, tool in _SWITCHES.items() if _is_on(body.get(field))]
    if str(body.get("model")).strip().lower().endswith(_SEARCHING_ROUTE):
        found.append("web_search")
    offered = body.get("tools")
    if offered:
        for tool in records([offered] if isinstance(offered, dict) else offered):
            found += _gemini(tool) if family is Family.GEMINI else _kind(family, tool)
    return tuple(found)


def compacts(body: Body) -> bool:
    """Whether the provider may shorten the conversation by itself, which costs another pass over it."""
    asked = body.get("context_management")
    edits = record(asked).get("edits") if isinstance(asked, dict) else asked
    return any("compact" in str(edit.get("type")) for edit in records(edits))


def _is_on(value: object) -> bool:
    return value is not None and value is not False and value != []


def _gemini(tool: Body) -> list[str]:
    return [name for name in tool if name not in _GEMINI_CLIENT_TOOLS]


def _kind(family: Family, tool: Body) -> list[str]:
    kind = tool.get("type")
    if kind is None:
        # Anthropic's own functions have no type; elsewhere its first member says what a tool without one is.
        is_function = family is Family.MESSAGES or any(member in tool for member in _FUNCTION_MEMBERS)
        return [] if is_function else [name[:64] for name in list(tool)[:1]]
    if not isinstance(kind, str):
        return ["tool"]
    if kind in _CLIENT_TYPES:
        return []
    if family is Family.MESSAGES and kind.startswith(_ANTHROPIC_CLIENT_TYPES):
        return []
    if kind == "namespace":
        return [name for inner in records(tool.get("tools")) for name in _kind(family, inner)]
    if kind == "shell" and record(tool.get("environment")).get("type") == "local":
        return []
    return [kind[:64]]


def max_tool_calls(family: Family, body: Body) -> int | None:
    """How often hosted tools may be called, or None where nothing limits it."""
    if family is not Family.MESSAGES:
        return whole(body, "max_tool_calls", 0, TOKENS_MAX)
    # Only the tools of the offer state a limit of their own; a server that is plugged in beside them has none.
    if any(_is_on(body.get(field)) for field in _SWITCHES):
        return None
    total = 0
    for tool in records(body.get("tools")):
        if _kind(family, tool):
            uses = whole(tool, "max_uses", 0, TOKENS_MAX, "tools.max_uses")
            if uses is None:
                return None
            total += uses
    return total or None


def container_gigabytes(body: Body) -> int:
    """The memory of the largest container that a tool asks for, which its price grows with; 1 where nothing says it.

    `body` is a request, or a response, which repeats the tools of its request.
    """
    sizes = [1]
    for tool in records(body.get("tools")):
        for place in ("container", "environment"):
            stated = _MEMORY.fullmatch(str(record(tool.get(place)).get("memory_limit")).lower())
            sizes.append(int(stated["size"]) if stated is not None else 1)
    return max(sizes)


def built_in_tools(family: Family, body: Body) -> int:
    """How many offered tools the provider describes to the model in its own words.

    Anthropic explains the use of tools as such, so there the whole offer counts as one more.
    """
    offered = body.get("tools")
    if not isinstance(offered, list) or not offered:
        return 0
    named = sum(1 for tool in records(offered) if tool.get("type") not in (None, "function", "custom"))
    is_anthropic = family is Family.MESSAGES or "claude" in str(body.get("model")).lower()
    return named + is_anthropic
