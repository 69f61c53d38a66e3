"""What models put around the texts of a request and an answer, and how their tokenizers differ from OpenAI's.

Only OpenAI's encodings are at hand. For other vendors a text counts by the nearest of them, times a factor, plus what
their templates add: figures fitted to recorded answers that state their usage. For OpenAI's own models they are exact,
or one too high. docs/ESTIMATES.md lists the accuracy that came of it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """Tokens beside the texts; factors in percent."""

    is_openai: bool = False
    """Its template is known for sure."""
    priming: int = 3
    """Once a request."""
    message: int = 3
    """Around each message; its role counts as text beside it where `roles` says so."""
    roles: bool = True
    text_percent: int = 100
    tools: int = 0
    """Once, where functions are offered to the model."""
    tools_percent: int = 100
    """Of the definitions' JSON."""
    answer: int = 1
    """Once an answer that has a text or a call."""
    call: int = 10
    """Around each call of a function."""
    parallel: int = 0
    """For each call more than one in an answer."""


_GPT_4 = Manner(is_openai=True, tools_percent=82, call=7, parallel=16)
_GPT_5 = Manner(is_openai=True, priming=2, tools_percent=82, answer=4, call=8, parallel=8)
_LEGACY = Manner(is_openai=True, tools_percent=82, answer=0, call=4)
_MANNERS: tuple[tuple[str, Manner], ...] = (
    ("gpt-oss", Manner(priming=62, tools=70, answer=4, call=18)),
    ("search-preview", Manner(is_openai=True, priming=0, message=0, roles=False, answer=0)),
    ("gpt-3.5", _LEGACY),
    ("gpt-4o", _GPT_4),
    ("gpt-4.", _GPT_4),
    ("gpt-4", _LEGACY),
    ("chatgpt", _GPT_4),
    ("gpt-audio", _GPT_4),
    ("gpt-5", _GPT_5),
    ("gpt-6", _GPT_5),
    ("gpt-", _LEGACY),
    ("codex", _GPT_5),
    ("computer-use", _GPT_4),
    ("davinci", _LEGACY),
    ("babbage", _LEGACY),
    ("text-embedding", _LEGACY),
    ("claude", Manner(text_percent=115, tools=320, tools_percent=110, answer=3, call=40)),
    ("deepseek", Manner(message=0, tools=270, answer=1, call=32)),
    ("gemini", Manner(priming=0, message=0, roles=False)),
    ("gemma", Manner(message=5, text_percent=110)),
    ("sonar", Manner(priming=0, message=0, roles=False, answer=0)),
    ("grok", Manner(priming=0, message=0, roles=False, tools=300, answer=0, call=24)),
    ("llama-3.", Manner(priming=30, text_percent=104)),
    ("llama3", Manner(priming=6, text_percent=104)),
    ("llama", Manner(priming=6, text_percent=104)),
    ("mixtral", Manner(priming=3, message=0, roles=False, text_percent=132, answer=0)),
    ("mistral-tiny", Manner(priming=3, message=0, roles=False, text_percent=132, answer=0)),
    ("mistral", Manner(priming=3, message=0, roles=False, tools_percent=150, answer=0)),
    ("magistral", Manner(priming=3, message=0, roles=False, text_percent=102)),
    ("kimi", Manner(tools=20, tools_percent=120, text_percent=103, call=6)),
    ("qwen", Manner(tools=70, text_percent=102, answer=2, call=18)),
    ("glm", Manner(tools=95, text_percent=105, answer=1, call=4)),
    ("minimax", Manner(priming=34)),
)
"""By a part of the model's name, the first that it contains."""
_O_SERIES = ("o1", "o3", "o4")
_OTHER = Manner(text_percent=105)


def manner_of(*names: str | None) -> Manner:
    """The manner of the first name that one is known for."""
    for name in names:
        if not name:
            continue
        lowered = name.lower()
        bare = lowered.rsplit("/", 1)[-1].removeprefix("ft:")
        if bare.startswith(_O_SERIES):
            return _GPT_5
        for part, manner in _MANNERS:
            if part in bare:
                return manner
    return _OTHER
