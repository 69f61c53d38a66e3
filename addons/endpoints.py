"""What the proxy knows of each endpoint: metered, free, or billed where nobody can see it.

One line a path, `*` for a segment that is an id. Reading is free: GET, HEAD, OPTIONS and DELETE of any path pass, since
providers bill what is created, and an answer that is read again was charged when it was made. Whatever else is not in
this table may bill, so it is refused like what bills later or out of band, unless a limiter allows it.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from metering.asks import Family
from metering.bodies import parse_object
from metering.errors import BodyError


class Kind(StrEnum):
    """How an endpoint is treated."""

    METERED = "metered"
    FREE = "free"
    UNMETERED = "unmetered"
    """Its cost cannot be known when the call is made."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a path is. `name` is what a row records; `model` is what the path itself names."""

    kind: Kind
    name: str
    family: Family | None = None
    model: str | None = None
    streams: bool = False
    """The path alone says that the answer is a stream."""
    asks_by: str | None = None
    """The member of a body that a model answers to, under a path that is free without it."""


_VERSION = re.compile(r"v\d+(?:alpha|beta)?\d*")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})

_METERED = {
    **{family.value: family for family in Family if family not in (Family.GEMINI, Family.GEMINI_EMBED)},
    "chat": Family.OLLAMA_CHAT,
    "generate": Family.OLLAMA_GENERATE,
    "embed": Family.OLLAMA_EMBED,
    "fim/completions": Family.COMPLETIONS,
    "extensions/chat/completions": Family.CHAT,
}

_FREE = """
    moderations
    responses/input_tokens          responses/*/cancel
    chat/completions/*
    files                           uploads                 uploads/*/parts
    uploads/*/complete              uploads/*/cancel
    vector_stores                   vector_stores/*         vector_stores/*/files
    vector_stores/*/files/*         vector_stores/*/file_batches
    vector_stores/*/file_batches/*/cancel
    conversations                   conversations/*         conversations/*/items
    assistants                      assistants/*
    threads                         threads/*               threads/*/messages
    threads/*/messages/*            threads/*/runs/*        threads/*/runs/*/cancel
    batches/*/cancel                messages/batches/*/cancel
    fine_tuning/jobs/*/cancel       fine_tuning/jobs/*/pause
    fine_tuning/checkpoints/*/permissions                   fine_tuning/alpha/graders/validate
    containers/*/files
    evals                           evals/*                 evals/*/runs/*
    skills                          skills/*                skills/*/versions
    messages/count_tokens
    tokenize                        detokenize
    api/show                        show
"""

_LATER = """
    batches                         messages/batches
    threads/runs                    threads/*/runs          threads/*/runs/*/submit_tool_outputs
    fine_tuning/jobs                fine_tuning/jobs/*/resume                       fine_tuning/alpha/graders/run
    videos                          videos/*/remix          videos/edits            videos/extensions
    containers                      vector_stores/*/search  evals/*/runs
    realtime                        realtime/sessions       realtime/transcription_sessions
    realtime/client_secrets         realtime/calls          realtime/calls/*/accept
    live/sessions                   live/client_secrets     decisions               chatkit/sessions
    agents/sessions                 agents/sessions/*       agents/sessions/*/turns
"""

_ASKS_BY = dict.fromkeys(("conversations", "conversations/*"), "inputs")
"""Mistral's conversations have answers; OpenAI's only keep items."""
_GEMINI_HOLDERS = frozenset({"models", "tunedModels", "endpoints"})
_GEMINI = {
    "generateContent": (Kind.METERED, Family.GEMINI),
    "streamGenerateContent": (Kind.METERED, Family.GEMINI),
    "embedContent": (Kind.METERED, Family.GEMINI_EMBED),
    "batchEmbedContents": (Kind.METERED, Family.GEMINI_EMBED),
    "countTokens": (Kind.FREE, None),
}


def find(method: str, segments: Sequence[str]) -> Endpoint:
    """What a method on a path is; `segments` are those behind the limiter's code."""
    deployment, path = _reduced(segments)
    name = "/".join(path)
    if method in SAFE_METHODS:
        return Endpoint(Kind.FREE, name)
    if method != "POST":
        return Endpoint(Kind.UNMETERED, _pattern(path) or name[:_NAME_MAX])
    family = _METERED.get(name)
    if family is not None:
        return Endpoint(Kind.METERED, family.value, family, deployment)
    if not _GEMINI_HOLDERS.isdisjoint(path[:-1]) and ":" in path[-1]:
        return _gemini(path)
    if len(path) == 3 and path[0] == "engines" and path[2] in _METERED:
        family = _METERED[path[2]]
        return Endpoint(Kind.METERED, family.value, family, path[1])
    pattern = _pattern(path)
    if pattern is None and (version := _last_version(path)):
        # A gateway's own routing stands before the version.
        routed = _METERED.get("/".join(_reduced(path[version:])[1]))
        if routed is not None:
            return Endpoint(Kind.METERED, routed.value, routed)
    name = pattern or name[:_NAME_MAX]
    return Endpoint(_KINDS.get(name, Kind.UNMETERED), name, asks_by=_ASKS_BY.get(name))


def as_asked(endpoint: Endpoint, raw: bytes) -> Endpoint:
    """What the endpoint is with this body. A body that cannot be read may ask for anything."""
    if endpoint.asks_by is None or not raw.strip():
        return endpoint
    with suppress(BodyError):
        if endpoint.asks_by not in parse_object(raw):
            return endpoint
    return replace(endpoint, kind=Kind.UNMETERED)


def _last_version(path: Sequence[str]) -> int:
    return max((place for place, segment in enumerate(path) if _VERSION.fullmatch(segment)), default=0)


def _reduced(segments: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The path without what providers put before it, and the deployment that Azure puts there."""
    path = list(segments)
    if path[:1] in (["openai"], ["anthropic"], ["upload"]):
        path = path[1:]
    if path[:1] == ["beta"] or (path and _VERSION.fullmatch(path[0])):
        path = path[1:]
    if path[:1] == ["openai"]:
        path = path[1:]
    if len(path) > 2 and path[0] == "deployments":
        return path[1], path[2:]
    if len(path) > 2 and path[0] == "models" and "/".join(path[1:]) in _METERED:
        return None, path[1:]
    return None, path


def _gemini(path: Sequence[str]) -> Endpoint:
    """A model and a verb: Gemini's, and Anthropic's models at the same host."""
    model, _, verb = path[-1].rpartition(":")
    if verb in ("rawPredict", "streamRawPredict") and "anthropic" in path:
        name = Family.MESSAGES.value
        return Endpoint(Kind.METERED, name, Family.MESSAGES, model, verb == "streamRawPredict")
    kind, family = _GEMINI.get(verb, (Kind.UNMETERED, None))
    return Endpoint(kind, verb, family, model, verb.startswith("stream") and family is not None)


def _pattern(path: Sequence[str]) -> str | None:
    """The line of the table that a path is an instance of. Literal segments go before `*`."""
    found = [known for known in _BY_LENGTH.get(len(path), ()) if _matches(known, path)]
    if not found:
        return None
    closest = min(found, key=lambda known: known.count("*"))
    return "/".join(closest)


def _matches(known: Sequence[str], path: Sequence[str]) -> bool:
    return all(
        segment == wanted or (wanted == "*" and _ID.fullmatch(segment))
        for wanted, segment in zip(known, path, strict=True)
    )


_NAME_MAX = 128
"""Of a path that nobody here knows, and that a client may make as long as it likes."""
_ID = re.compile(r"[A-Za-z0-9_.:~-]+")
"""What an upstream cannot take for nothing, as some take ` ` or `;x`: behind a path that bills, that would be the path itself."""
_KINDS = dict.fromkeys(_FREE.split(), Kind.FREE) | dict.fromkeys(_LATER.split(), Kind.UNMETERED)
_BY_LENGTH: dict[int, list[tuple[str, ...]]] = {}
for _line in _KINDS:
    _parts = tuple(_line.split("/"))
    _BY_LENGTH.setdefault(len(_parts), []).append(_parts)
