"""How many tokens a text is: the encodings of OpenAI's models, offline.

A vocabulary takes 150 MB and half a second, so each is loaded when it is first needed, once. The tokenizer is linear
in the length of any text, but holds the interpreter while it counts: texts are counted in slices, between which other
threads, the event loop's among them, have their turn. Beyond `COUNTED_CHARACTERS_MAX` the rest of a text counts in
proportion to what was counted. Any text is counted, half surrogate pairs too; nothing here raises.
"""

import time
from threading import Lock
from typing import Protocol

from metering.pricing.row import Encoding

COUNTED_CHARACTERS_MAX = 16_000_000
"""More than any model's context takes, and a second's work."""
_SLICE_CHARACTERS = 16_384
_LOOK_BACK = 256


class _Tokenizer(Protocol):
    def count(self, text: str) -> int: ...


_loading = Lock()
_loaded: dict[Encoding, _Tokenizer] = {}


def count_tokens(text: str, encoding: Encoding) -> int:
    """Tokens of ordinary text: what looks like a control token is text too."""
    if not text:
        return 0
    tokenizer = _tokenizer(encoding)
    if len(text) <= _SLICE_CHARACTERS:
        return tokenizer.count(_encodable(text))
    total = at = 0
    counted = min(len(text), COUNTED_CHARACTERS_MAX)
    while at < counted:
        end = _cut(text, at, counted)
        total += tokenizer.count(_encodable(text[at:end]))
        at = end
        time.sleep(0)
    return total if counted == len(text) else -(-total * len(text) // counted)


def _cut(text: str, start: int, end: int) -> int:
    """Where a slice ends: before a space if there is one nearby, since a token hardly ever spans it from the left."""
    most = start + _SLICE_CHARACTERS
    if most >= end:
        return end
    space = text.rfind(" ", most - _LOOK_BACK, most)
    return most if space <= start else space


def _encodable(text: str) -> str:
    """The text with halves of surrogate pairs replaced, as providers replace them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _tokenizer(encoding: Encoding) -> _Tokenizer:
    found = _loaded.get(encoding)
    if found is not None:
        return found
    with _loading:
        if encoding not in _loaded:
            # The package's own face makes lists of tokens and keeps a second copy of the vocabulary; only its count is needed.
            from bpe_openai._bindings import tokenizer_for_encoding

            _loaded[encoding] = tokenizer_for_encoding(f"{encoding}_base")
        return _loaded[encoding]
