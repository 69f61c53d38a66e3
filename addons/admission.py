"""From a request under a limiter to a call whose money is held, or to the refusal that says why not.

The body is parsed once. What was read of the limiter may be old: every refusal rests on a fresh look at it, and the ledger
refuses terms that were made for an older version, so that the call is priced again.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from addons import refusals
from addons.books import Books
from addons.calls import Call
from addons.endpoints import Endpoint, Kind
from addons.lines import write_refusal
from addons.paths import Route
from addons.refusals import Refusal
from addons.terms import Terms, asked_model, terms_of
from addons.upstream import base_of
from addons.users import fingerprint, user_of
from metering.asks import Ask, Family, read_ask, read_form_ask
from metering.bodies import parse_form, parse_object
from metering.clock import monotonic_s
from metering.entries import Admission, Admitted, Refused
from metering.errors import BodyError, StoreError
from metering.estimates import counted_input
from metering.limiters import Limiter

_ATTEMPTS = 5
_LARGE_BYTES = 262_144
_USER_FIELD = "X-User-Id"
Body = Mapping[str, object]


class Desk:
    """Admits calls."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.deciding = 0
        """Calls of which it is not decided yet whether their money is held; their clients may be gone."""

    def gate(self, route: Route, *, fresh: bool = False) -> Limiter | Refusal:
        """The limiter of a path, if it lets calls of this kind through at all. Raises StoreError."""
        limiter = self._books.limiter(route.code, fresh=fresh or route.endpoint.kind is Kind.FREE)
        refusal = _refusal(limiter, route.endpoint)
        if refusal is None and limiter is not None:
            return limiter
        if not fresh:
            return self.gate(route, fresh=True)
        if limiter is not None:
            self.count(limiter, refusal or refusals.limiter_not_found(), route)
        return refusal or refusals.limiter_not_found()

    def count(
        self,
        limiter: Limiter,
        refusal: Refusal,
        route: Route,
        user: str | None = None,
        model: str | None = None,
    ) -> Refusal:
        """Count a refusal against its limiter, and write its line."""
        write_refusal(limiter, refusal, route.endpoint.name, user, model)
        if self._books.writer is not None:
            self._books.writer.refused(limiter.key, refusal.code, refusal.unpriced)
        return refusal

    async def admit(
        self, limiter: Limiter, route: Route, headers: Mapping[str, str], raw: bytes
    ) -> Call | Refusal:
        """Hold the money for a metered call, or say why not."""
        self.deciding += 1
        try:
            return await self._decide(limiter, route, headers, raw)
        finally:
            self.deciding -= 1

    async def _decide(
        self, limiter: Limiter, route: Route, headers: Mapping[str, str], raw: bytes
    ) -> Call | Refusal:
        try:
            ask, body = await _read(route.endpoint, headers.get("content-type", ""), raw)
        except BodyError as wrong:
            return self.count(limiter, refusals.invalid_request(wrong.reason), route)
        is_unmetered = route.endpoint.kind is Kind.UNMETERED
        if ask is not None and ask.background:
            is_unmetered = True
        model = route.endpoint.model if ask is None else asked_model(ask, route.endpoint.model)
        if model is None and not is_unmetered:
            reason = "The request names no model: set `model`."
            return self.count(limiter, refusals.invalid_request(reason), route)
        call = await self._admit(limiter, route, headers, raw, ask, model or "", is_unmetered)
        if isinstance(call, Call):
            call.parsed = body
        return call

    async def _admit(
        self,
        limiter: Limiter,
        route: Route,
        headers: Mapping[str, str],
        raw: bytes,
        ask: Ask | None,
        model: str,
        is_unmetered: bool,
    ) -> Call | Refusal:
        key = fingerprint(headers, self._books.secret)
        user = user_of(None if ask is None else ask.user, headers.get(_USER_FIELD), key)
        streamed = route.endpoint.streams or (ask is not None and ask.stream)
        writer = self._books.writer
        if writer is None:
            raise StoreError("admit a call", "the ledger is not open")
        counted: int | None = None
        is_second_look = False
        for _ in range(_ATTEMPTS):
            terms = self._terms(limiter, route, ask, model, is_unmetered, counted)
            if isinstance(terms, Refusal):
                # What was refused on remembered terms may be allowed by now.
                fresh = self.gate(route, fresh=True)
                if isinstance(fresh, Refusal):
                    return fresh
                if fresh.version == limiter.version:
                    return self.count(limiter, terms, route, user, model)
                limiter = fresh
                continue
            answer = await writer.admit(
                Admission(
                    limiter_key=limiter.key,
                    limiter_version=limiter.version,
                    user=user,
                    model=model,
                    endpoint=route.endpoint.name,
                    streamed=streamed,
                    hold_nanousd=terms.hold_nanousd,
                    at_least_nanousd=terms.at_least_nanousd if is_second_look else None,
                    mode=terms.mode,
                    price_row="" if terms.row is None else terms.row.key,
                    unmetered=is_unmetered,
                )
            )
            if isinstance(answer, Admitted):
                return Call(
                    limiter=limiter,
                    admitted=answer,
                    endpoint=route.endpoint.name,
                    family=None if is_unmetered and ask is None else route.endpoint.family,
                    ask=ask,
                    asked_model=model,
                    model=terms.model,
                    row=terms.row,
                    bound=terms.bound,
                    is_unmetered=is_unmetered,
                    user=user,
                    key=key,
                    is_known_key=partial(self._books.is_known_key, limiter.key, key),
                    base_host=base_of(limiter.base_url).host,
                    body=raw,
                    started_s=monotonic_s(),
                    asks_for_stream=streamed,
                )
            if answer.code == "budget_exceeded":
                if not is_second_look and _may_fit(terms, answer):
                    # In strict. The bytes of the body bound its tokens, but the tokens themselves may fit.
                    is_second_look = True
                    counted = await asyncio.to_thread(_counted, terms, ask, raw)
                    continue
                hidden = limiter.hide_amounts
                refusal = refusals.budget_exceeded(answer, hide_amounts=hidden)
                return self.count(limiter, refusal, route, user, model)
            fresh = self.gate(route, fresh=True)
            if isinstance(fresh, Refusal):
                return fresh
            limiter = fresh
        return self.count(limiter, refusals.limiter_unavailable(), route, user, model)

    def _terms(
        self,
        limiter: Limiter,
        route: Route,
        ask: Ask | None,
        model: str,
        is_unmetered: bool,
        counted: int | None,
    ) -> Terms | Refusal:
        if is_unmetered and not limiter.allow_unmetered:
            is_later = ask is not None and ask.background
            reason = "A background or deferred answer bills after its call has ended" if is_later else ""
            return refusals.endpoint_not_metered(route.endpoint.name, reason)
        if ask is None or is_unmetered:
            return Terms(model=model, row=None, mode="free", hold_nanousd=0)
        now_us = self._books.clock()
        learned = self._books.learned(limiter.key, model)
        return terms_of(limiter, ask, model, self._books.prices.current(), learned, now_us, counted)


def _refusal(limiter: Limiter | None, endpoint: Endpoint) -> Refusal | None:
    if limiter is None:
        return refusals.limiter_not_found()
    if not limiter.is_active:
        return refusals.limiter_inactive()
    if endpoint.kind is Kind.UNMETERED and not limiter.allow_unmetered:
        return refusals.endpoint_not_metered(endpoint.name)
    return None


def _may_fit(terms: Terms, refused: Refused) -> bool:
    """Whether a closer look at a call, or a lower output limit, could let it through."""
    return terms.bound is not None and refused.used_nanousd < refused.budget_nanousd


def _counted(terms: Terms, ask: Ask | None, raw: bytes) -> int | None:
    """The input tokens at most, counted; runs in a thread."""
    if terms.dearest is None or ask is None:
        return None
    return counted_input(terms.dearest, ask, raw)


async def _read(endpoint: Endpoint, content_type: str, raw: bytes) -> tuple[Ask | None, Body | None]:
    """What the request asks for, and the JSON that says so. Raises BodyError.

    An endpoint that is not metered may have any body; a model and a user are read where it has them.
    """
    if endpoint.family is None:
        with suppress(BodyError):
            return _ask(Family.CHAT, content_type, raw)
        return None, None
    if len(raw) > _LARGE_BYTES:
        return await asyncio.to_thread(_ask, endpoint.family, content_type, raw)
    return _ask(endpoint.family, content_type, raw)


def _ask(family: Family, content_type: str, raw: bytes) -> tuple[Ask, Body | None]:
    if content_type[:10].lower() == "multipart/":
        return read_form_ask(family, parse_form(content_type, raw), len(raw)), None
    body = parse_object(raw)
    return read_ask(family, body, len(raw)), body
