"""What a provider's own host changes: OpenRouter's figure is the charge there, Azure has paths of its own."""

import socket
from typing import Any

import pytest

from scripts.standin import StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import COST_NANOUSD, USAGE, delta, json_answer, request, stream, usage_chunk

HOSTS = ("openrouter.ai", "eu.openrouter.ai", "office.openai.azure.com")
FIGURE = {**USAGE, "cost": 0.00042}


@pytest.fixture(autouse=True)
def every_provider_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of the providers lead to this machine."""
    real = socket.getaddrinfo

    def here(host: Any, *arguments: Any, **named: Any) -> Any:
        return real("127.0.0.1" if host in HOSTS else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", here)


@pytest.mark.parametrize("streamed", [False, True])
async def test_at_openrouter_what_it_says_it_charged_is_the_cost(
    proxy: Proxied, upstream: StandIn, streamed: bool
) -> None:
    limiter = proxy.limiter(f"http://openrouter.ai:{upstream.port}/api/v1")
    upstream.handler = lambda _: (
        stream(delta("a"), usage_chunk(FIGURE))
        if streamed
        else json_answer({"model": "plain", "choices": [], "usage": FIGURE})
    )

    reply = await proxy.chat(limiter, stream=streamed)

    assert reply.status == 200
    assert upstream.received[0].target == "/api/v1/chat/completions"
    assert upstream.received[0].header("host") == f"openrouter.ai:{upstream.port}"
    row = await proxy.row()
    assert (row["cost_nanousd"], row["provider_cost_nanousd"], row["basis"]) == (420_000, 420_000, "reported")
    assert (row["input_tokens"], row["output_tokens"]) == (10, 5)


async def test_elsewhere_such_a_figure_is_only_kept_beside_ours(proxy: Proxied, upstream: StandIn) -> None:
    limiter = proxy.limiter(f"http://eu.openrouter.ai:{upstream.port}/api/v1")
    upstream.handler = lambda _: json_answer({"model": "plain", "choices": [], "usage": FIGURE})

    await proxy.chat(limiter)

    row = await proxy.row()
    assert (row["cost_nanousd"], row["provider_cost_nanousd"]) == (COST_NANOUSD, 420_000)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("chat/completions", "/openai/v1/chat/completions"),
        (
            "deployments/plain/chat/completions?api-version=1",
            "/openai/deployments/plain/chat/completions?api-version=1",
        ),
        (
            "openai/deployments/plain/chat/completions?api-version=1",
            "/openai/deployments/plain/chat/completions?api-version=1",
        ),
    ],
)
async def test_on_azure_the_plain_sdk_and_the_azure_client_arrive(
    proxy: Proxied, upstream: StandIn, path: str, target: str
) -> None:
    limiter = proxy.limiter(f"http://office.openai.azure.com:{upstream.port}", model_map={"office": "plain"})
    upstream.handler = lambda _: json_answer({"model": "office", "choices": [], "usage": USAGE})
    body = b'{"model": "office", "messages": []}'

    reply = await proxy.send(request("POST", f"/v1/{limiter.code}/{path}", body=body))

    assert reply.status == 200
    assert upstream.received[0].target == target
    assert (await proxy.row())["cost_nanousd"] == COST_NANOUSD
