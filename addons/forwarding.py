"""Turns an admitted request into the one that goes upstream.

The target is the limiter's, the headers are cleaned, and the body stays as it is but for two members: usage is asked for
where a stream would not report it, and in strict the output limit is lowered to what is paid for.
"""

from mitmproxy import http

from addons import headers
from addons.calls import Call
from addons.exposure import Peer, Phase
from addons.terms import clamped_output, output_limit_field
from addons.upstream import base_of, upstream_path
from metering.asks import Family
from metering.bodies import with_output_limit, with_stream_usage
from metering.limiters import Limiter

_SILENT_WITHOUT_ASKING = (Family.CHAT, Family.COMPLETIONS)
_REMEMBERED_MAX = 10_000


def forward(flow: http.HTTPFlow, limiter: Limiter, rest: str, peer: Peer, body: bytes | None = None) -> None:
    """Direct the request to the limiter's upstream, with another body if there is one. Dialling it is allowed from now on."""
    base = base_of(limiter.base_url)
    wire = flow.request.data
    fields = headers.for_upstream(wire.headers.fields, base.host_header)
    was_chunked = "transfer-encoding" in wire.headers
    if body is not None or was_chunked:
        wire.content = body if body is not None else wire.content
        fields = headers.without(fields, b"content-length")
        fields.append((b"content-length", b"%d" % len(wire.content or b"")))
    wire.authority = b""
    wire.scheme = base.scheme.encode()
    wire.host = base.host
    wire.port = base.port
    wire.path = upstream_path(base, rest).encode()
    wire.http_version = b"HTTP/1.1"
    wire.headers.fields = tuple(fields)
    wire.trailers = None
    peer.upstream = (base.host, base.port, base.scheme == "https")
    peer.enter(Phase.CONNECTING)


class Bodies:
    """Changes bodies, and remembers which upstreams refuse the field that asks for usage."""

    def __init__(self) -> None:
        self._refusing: dict[tuple[int, str], None] = {}

    def changed(self, call: Call) -> bytes | None:
        """The body that goes upstream, or None where it goes as it came. Notes on the call what was changed."""
        raw, parsed, ask = call.body, call.parsed, call.ask
        call.parsed = None
        if ask is None or parsed is None or call.is_unmetered:
            return None
        wants_usage = ask.stream and not ask.includes_usage and ask.family in _SILENT_WITHOUT_ASKING
        if wants_usage and (call.limiter.key, call.asked_model) not in self._refusing:
            raw = with_stream_usage(raw, parsed)
            call.injected_usage = True
        bound = call.bound
        if bound is not None and call.admitted.held_nanousd < bound.nanousd:
            tokens = clamped_output(bound, call.admitted.held_nanousd, ask.output_limit)
            base = base_of(call.limiter.base_url)
            field = output_limit_field(ask, base.host, is_azure=base.is_azure)
            raw = with_output_limit(raw, parsed, field, tokens)
            call.clamped_to = tokens
        return None if raw is call.body else raw

    def refused_usage(self, call: Call, response: http.Response) -> None:
        """The upstream does not know `stream_options`: the client tries again, and the next call goes without."""
        response.headers["x-should-retry"] = "true"
        self._refusing[call.limiter.key, call.asked_model] = None
        if len(self._refusing) > _REMEMBERED_MAX:
            del self._refusing[next(iter(self._refusing))]
