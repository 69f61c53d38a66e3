"""What is lighter than mitmproxy's own gives the same results."""

import importlib.util
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.test import tflow

from addons.lighter import lighten, with_plain_options
from scripts.standin import Answer, Received, StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import chat, json_answer

NAMES = st.sampled_from([b"content-type", b"Content-Type", b"x-a", b"X-A", b"x-b"])
VALUES = st.binary(max_size=8)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)


@pytest.fixture(scope="module")
def original() -> ModuleType:
    """mitmproxy's module of messages once more, as nobody has touched it."""
    found = importlib.util.find_spec("mitmproxy.http")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    lighten(Options())
    return module


@given(fields=FIELDS, name=st.sampled_from(["content-type", "X-a", "x-B", "absent", b"x-a"]))
def test_headers_are_found_as_mitmproxy_finds_them(
    original: ModuleType, fields: list[tuple[bytes, bytes]], name: str | bytes
) -> None:
    ours, theirs = http.Headers(fields), original.Headers(fields)

    assert ours.get_all(name) == theirs.get_all(name)
    assert ours.get(name) == theirs.get(name)
    assert ours.get(name, "other") == theirs.get(name, "other")
    assert (name in ours) == (name in theirs)
    if name in theirs:
        assert ours[name] == theirs[name]
    else:
        with pytest.raises(KeyError):
            ours[name]


def test_layers_read_the_same_options(original: ModuleType) -> None:
    del original
    options = Options(rawtcp=False, websocket=False)
    lighten(options)
    context = Context(tflow.tclient_conn(), options)

    with_plain_options(context)

    assert {name: getattr(context.options, name) for name, _ in options.items()} == {
        name: getattr(options, name) for name, _ in options.items()
    }


def test_a_forked_context_is_one_of_its_own(original: ModuleType) -> None:
    del original
    context = Context(tflow.tclient_conn(), Options())

    fork = context.fork()
    fork.layers.append(object())  # type: ignore[arg-type]

    assert (fork.client, fork.options, fork.server) == (context.client, context.options, context.server)
    assert context.layers == []


async def test_head_and_body_go_out_together(proxy: Proxied, upstream: StandIn) -> None:
    sizes: list[int] = []

    def answer(received: Received) -> Answer:
        sizes.append(len(received.body))
        return json_answer()

    upstream.handler = answer
    limiter = proxy.limiter(upstream)

    async with proxy.connected() as client:
        for text in ("a", "b" * 300_000, "c"):
            await client.send(chat(limiter.code, messages=[{"role": "user", "content": text}]))
            assert (await client.reply()).status == 200

    assert sizes[1] > 300_000
    assert len(sizes) == 3
