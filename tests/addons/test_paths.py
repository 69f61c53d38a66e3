"""From a request target to a limiter, an endpoint and a path upstream; what could be read in two ways is refused."""

import pytest

from addons import paths
from addons.endpoints import Kind
from addons.paths import PathError, Place, Route, read_path

CODE = "abcdefghijklmnopqrstuvwxyz"


def read(rest: str, method: str = "POST") -> Route:
    route = read_path(method, f"/v1/{CODE}/{rest}")
    assert isinstance(route, Route)
    return route


@pytest.mark.parametrize(
    ("rest", "upstream"),
    [
        ("chat/completions", "chat/completions"),
        ("chat/completions?api-version=1&x=%2F", "chat/completions?api-version=1&x=%2F"),
        ("v1/chat/completions", "chat/completions"),
        ("/chat/completions", "chat/completions"),
        ("///openai/deployments/gpt/chat/completions", "openai/deployments/gpt/chat/completions"),
        ("models/meta-llama%2Fllama-3", "models/meta-llama%2Fllama-3"),
        ("", ""),
        ("?query", "?query"),
    ],
)
def test_the_rest_goes_upstream_without_a_doubled_version(rest: str, upstream: str) -> None:
    route = read(rest)

    assert (route.code, route.rest) == (CODE, upstream)


@pytest.mark.parametrize(
    "rest",
    [
        "files//content",
        "../secret",
        "files/..",
        "files/./content",
        "files/.",
        "files\\content",
        "files%2fcontent",
        "files%2Fcontent",
        "files%5ccontent",
        "%2e%2e/secret",
        "%2E/secret",
        "files%00",
        "files%0d%0aX",
        "files%252f",
        "files/a b",
        "files/\x7f",
        "files/é",
        "files#part",
        "models/a%2Fb/c%2Fd",
        "models/a%2F..%2Fb",
        "chat/completions?a=\x01",
        "chat/completions?a=é",
        "v1//chat/completions",
    ],
)
def test_a_path_that_could_mean_two_things_is_refused(rest: str) -> None:
    with pytest.raises(PathError):
        read(rest)


def test_a_path_that_is_too_long_is_refused() -> None:
    with pytest.raises(PathError):
        read("files/" + "a" * 10_000)


@pytest.mark.parametrize(
    ("method", "path", "place"),
    [
        ("GET", "/healthz", Place.HEALTH),
        ("HEAD", "/healthz", Place.HEALTH),
        ("POST", "/healthz", Place.NOWHERE),
        ("GET", "/api", Place.SERVICE),
        ("GET", "/api/limiters", Place.SERVICE),
        ("GET", "/apis", Place.NOWHERE),
        ("GET", "/", Place.NOWHERE),
        ("GET", "/v1", Place.NOWHERE),
        ("POST", "/chat/completions", Place.NOWHERE),
        ("OPTIONS", "*", Place.NOWHERE),
        ("GET", "//v1/code/models", Place.NOWHERE),
        ("GET", "/V1/code/models", Place.NOWHERE),
    ],
)
def test_what_is_under_no_code_is_not_proxied(method: str, path: str, place: Place) -> None:
    assert read_path(method, path) is place


def test_a_deployment_in_the_path_is_the_model() -> None:
    endpoint = read("openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21").endpoint

    assert (endpoint.kind, endpoint.model) == (Kind.METERED, "my gpt")


@pytest.mark.parametrize(("method", "target"), [("M" * 60_000, "/x"), ("GET", "/v1/code/" + "x" * 8_000)])
def test_what_nobody_would_send_again_is_not_remembered(method: str, target: str) -> None:
    before = paths._read_short.cache_info().currsize

    for _ in range(2):
        read_path(method, target)
        read_path(method, target + "1")

    assert paths._read_short.cache_info().currsize == before
