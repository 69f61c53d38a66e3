"""A base URL and the rest of a path make the address of the upstream."""

import pytest

from addons.upstream import base_of, upstream_url

AZURE = "https://res.openai.azure.com"


@pytest.mark.parametrize(
    ("base", "rest", "url"),
    [
        ("https://api.openai.com", "chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/", "models?a=b", "https://api.openai.com/v1/models?a=b"),
        ("https://api.openai.com/v1", "chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", "chat/completions", "https://openrouter.ai/api/v1/chat/completions"),
        (
            "https://openrouter.ai/api/v1",
            "api/v1/chat/completions",
            "https://openrouter.ai/api/v1/chat/completions",
        ),
        (
            "https://g.example/v1beta/openai",
            "openai/chat/completions",
            "https://g.example/v1beta/openai/chat/completions",
        ),
        ("http://127.0.0.1:11434", "api/chat", "http://127.0.0.1:11434/v1/api/chat"),
        ("http://[::1]:8080/v1", "models", "http://[::1]:8080/v1/models"),
        ("http://[::1]", "models", "http://[::1]/v1/models"),
        ("https://host:443", "models", "https://host/v1/models"),
        ("http://host:443", "models", "http://host:443/v1/models"),
        ("https://host", "openai/deployments/d/embeddings", "https://host/openai/deployments/d/embeddings"),
        (AZURE, "chat/completions", f"{AZURE}/openai/v1/chat/completions"),
        (f"{AZURE}/openai/v1", "chat/completions", f"{AZURE}/openai/v1/chat/completions"),
        (AZURE, "openai/deployments/d/chat/completions", f"{AZURE}/openai/deployments/d/chat/completions"),
        (AZURE, "deployments/d/chat/completions", f"{AZURE}/openai/deployments/d/chat/completions"),
        (AZURE, "models/chat/completions", f"{AZURE}/models/chat/completions"),
        (
            "https://x.services.ai.azure.com",
            "responses",
            "https://x.services.ai.azure.com/openai/v1/responses",
        ),
        (
            "https://x.openai.azure.com.evil.example",
            "responses",
            "https://x.openai.azure.com.evil.example/v1/responses",
        ),
    ],
)
def test_the_address_of_a_call(base: str, rest: str, url: str) -> None:
    assert upstream_url(base, rest) == url


def test_a_base_url_is_taken_apart() -> None:
    base = base_of("https://res.openai.azure.com:8443/openai/v1/")

    assert (base.scheme, base.host, base.port, base.path) == (
        "https",
        "res.openai.azure.com",
        8443,
        "/openai/v1",
    )
    assert base.is_azure
    assert not base_of("https://openai.azure.com.example").is_azure
