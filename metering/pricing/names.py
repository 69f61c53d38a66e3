"""From a model's name on the wire to the names that a price book may know it by, most exact first.

Nothing is guessed from a shared beginning: `gpt-4o-mini` is not a kind of `gpt-4o`, and tomorrow's model is
not a kind of today's. A step only drops or respells what is known to leave the price alone.
"""

import re
from collections.abc import Iterator

_VENDORS = (
    "openai/",
    "openai:",
    "azure/",
    "anthropic/",
    "google/",
    "models/",
    "mistralai/",
    "x-ai/",
    "xai/",
    "deepseek/",
    "perplexity/",
    "cohere/",
    "minimax/",
    "z-ai/",
)
_ROUTES = (":free", ":extended", ":nitro")
"""OpenRouter's suffixes. `:free` is free only where the book has a row that says so."""

_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_DATE = re.compile(rf"(?P<base>.+?)(?:-20\d\d-{_MONTH}-{_DAY}|[-@]20\d\d{_MONTH}{_DAY}|-{_MONTH}{_DAY})")
_AZURE_FINE_TUNE = re.compile(r"(?P<base>.+?)\.ft-.+")
_POINTLESS = re.compile(r"(?P<start>^|.*[/:])gpt-(?P<major>\d)-?(?P<minor>\d)(?P<rest>(?:[-:.@].*)?)")
"""`gpt-35-turbo`, `gpt-41-mini` and `gpt-5-1`: Azure's names for what has a point in OpenAI's."""


def spellings(name: str) -> Iterator[str]:
    """Every name to look up, in the order of preference. Each is to be matched exactly."""
    for form in _forms(name.strip().lower()):
        yield form
        tuned = _fine_tuned(form)
        if tuned is not None:
            yield tuned
        base = undated(tuned or form)
        if base is not None:
            yield base


def undated(name: str) -> str | None:
    """The name without the date that it ends in; None where it has none."""
    dated = _DATE.fullmatch(name)
    return None if dated is None else dated["base"]


def _forms(name: str) -> Iterator[str]:
    """The name as it came, then without a vendor before it and a route behind it, then with its point."""
    yield name
    bare = name
    for vendor in _VENDORS:
        if bare.startswith(vendor):
            bare = bare.removeprefix(vendor)
            yield bare
            break
    if not bare.startswith("ft:"):
        for route in _ROUTES:
            if bare.endswith(route):
                bare = bare.removesuffix(route)
                yield bare
                break
    pointless = _POINTLESS.fullmatch(bare)
    if pointless is not None:
        start, rest = pointless["start"], pointless["rest"]
        yield f"{start}gpt-{pointless['major']}.{pointless['minor']}{rest}"


def _fine_tuned(form: str) -> str | None:
    """`ft:<base>:<organisation>:<name>:<id>`, or Azure's `<base>.ft-<id>`, as `ft:<base>`."""
    if form.startswith("ft:"):
        return ":".join(form.split(":")[:2])
    azure = _AZURE_FINE_TUNE.fullmatch(form)
    return None if azure is None else f"ft:{azure['base']}"
