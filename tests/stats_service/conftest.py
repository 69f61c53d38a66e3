"""What the tests of the service have in common."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from stats_service import admin as passwords
from stats_service import remembered
from tests.stats_service.service import Service, signed_in


@pytest.fixture(autouse=True)
def sums_are_never_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding up is more work than the bound now and then where coverage looks on."""
    monkeypatch.setattr(remembered, "SLOW_S", 1e9)


@pytest.fixture(autouse=True)
def passwords_are_hashed_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As weakly as it goes: it is done twice in nearly every test."""
    monkeypatch.setattr(passwords, "_ROUNDS", 1)
    monkeypatch.setattr(passwords, "_MEMORY_KIB", 8)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """The service on a fresh database, at noon."""
    return Service(tmp_path)


@pytest.fixture
def stranger(service: Service) -> Iterator[TestClient]:
    """Somebody without a token."""
    with service.client() as client:
        yield client


@pytest.fixture
def admin(service: Service) -> Iterator[TestClient]:
    """The administrator's program."""
    with service.client() as client:
        yield signed_in(client)
