"""As many open files as the bound on connections needs."""

import resource
from collections.abc import Iterator

import pytest

from addons.descriptors import make_room

LOW, NEEDED = 1_024, 2 * 1_024 + 128


@pytest.fixture(autouse=True)
def low() -> Iterator[None]:
    """The soft limit is as low as on many systems."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (LOW, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def soft() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_the_limit_is_raised_to_what_the_connections_need(caplog: pytest.LogCaptureFixture) -> None:
    make_room(1_024)

    assert soft() == NEEDED
    assert caplog.records == []


def test_a_limit_that_is_high_enough_stays() -> None:
    make_room(10)

    assert soft() == LOW


@pytest.mark.parametrize(("hard", "allowed"), [(2_000, 2_000), (LOW, LOW)])
def test_what_the_system_does_not_allow_is_told(
    hard: int, allowed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (LOW, hard))
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))

    make_room(1_024)

    assert asked == [(allowed, hard)]
    assert f"MAX_CONNECTIONS is 1024, which needs {NEEDED} open files, and the system allows {allowed}." in (
        caplog.text
    )


def test_a_system_that_refuses_is_no_reason_not_to_serve(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not permitted")

    monkeypatch.setattr(resource, "setrlimit", refuse)

    make_room(1_024)

    assert f"the system allows {LOW}." in caplog.text
