"""Signing in over the API: passwords, tokens and the throttle."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from starlette.testclient import TestClient

from metering.clock import SECOND_US
from metering.errors import SettingError
from metering.setting_values import networks
from stats_service import admin as passwords
from stats_service import tokens
from stats_service.secret import jwt_secret
from tests.stats_service.service import (
    NOON,
    PASSWORD,
    SECRET,
    Service,
    login,
    refused,
    settings_in,
    signed_in,
)

NOW_S = NOON // SECOND_US
GOOD: dict[str, Any] = {"sub": "admin", "iat": NOW_S, "exp": NOW_S + 60}

HASHED_WITH = {name: getattr(passwords, name) for name in ("_ROUNDS", "_MEMORY_KIB")}
"""As it ships; while tests run, it is less."""


def signed(claims: dict[str, Any], key: str | bytes = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


def unsigned(claims: dict[str, Any], algorithm: str) -> str:
    parts = ({"alg": algorithm, "typ": "JWT"}, claims)
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*text, ""])


def status_with(client: TestClient, header: str) -> int:
    return client.get("/api/limiters", headers={"authorization": header}).status_code


def test_the_right_password_gets_a_token_that_works(stranger: TestClient) -> None:
    answer = login(stranger)
    assert answer.status_code == 200
    assert set(answer.json()) == {"token", "username"}
    assert answer.json()["username"] == "admin"
    assert status_with(stranger, f"Bearer {answer.json()['token']}") == 200
    assert status_with(stranger, f"bearer {answer.json()['token']}") == 200
    claims = jwt.decode(answer.json()["token"], SECRET, algorithms=["HS256"], options={"verify_exp": False})
    assert claims == {"sub": "admin", "iat": NOW_S, "exp": NOW_S + 24 * 3600}


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("admin", "wrong"),
        ("admin", ""),
        ("admin", PASSWORD + " "),
        ("admin", PASSWORD.upper()),
        ("Admin", PASSWORD),
        ("", PASSWORD),
        ("", ""),
        ("admin\x00", PASSWORD),
        ("admin", "x" * 10_000),
        ("é", "\ud800"),
    ],
)
def test_a_wrong_name_or_password_is_told_nothing_about_either(
    stranger: TestClient, username: str, password: str
) -> None:
    answer = stranger.post(
        "/api/auth/login", content=json.dumps({"username": username, "password": password})
    )
    message = refused(answer, 401, "wrong_credentials")
    assert message == "The username and the password do not fit together."


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": PASSWORD}, "username"),
        ({"username": "admin"}, "password"),
        ({"username": 1, "password": PASSWORD}, "username"),
        ({"username": "admin", "password": None}, "password"),
        ({"username": "admin", "password": ["x"]}, "password"),
        ({"username": "admin", "password": PASSWORD, "remember": True}, "remember"),
    ],
)
def test_a_login_with_other_fields_is_refused_by_name(
    stranger: TestClient, body: dict[str, Any], field: str
) -> None:
    refused(stranger.post("/api/auth/login", json=body), 422, "invalid_field", field)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer " + "x" * 100_000,
        "Basic YWRtaW46eA==",
        signed(GOOD),
        f"Token {signed(GOOD)}",
        f"Bearer {signed(GOOD)}x",
        f"Bearer {signed(GOOD, 'another-secret-of-more-than-32-bytes')}",
        f"Bearer {signed(GOOD, tokens.derived(SECRET, 'sessions of the pages'))}",
        f"Bearer {signed(GOOD, SECRET * 2, 'HS512')}",
        f"Bearer {signed(GOOD, SECRET * 2, 'HS384')}",
        f"Bearer {unsigned(GOOD, 'none')}",
        f"Bearer {unsigned(GOOD, 'None')}",
        f"Bearer {unsigned(GOOD, 'HS256')}",
        f"Bearer {signed({**GOOD, 'exp': NOW_S})}",
        f"Bearer {signed({**GOOD, 'exp': NOW_S - 1})}",
        f"Bearer {signed({**GOOD, 'iat': NOW_S + 3600, 'exp': NOW_S + 7200})}",
        f"Bearer {signed({**GOOD, 'nbf': NOW_S + 10**10})}",
        f"Bearer {signed({**GOOD, 'sub': 'root'})}",
        f"Bearer {signed({**GOOD, 'sub': ''})}",
        f"Bearer {signed({**GOOD, 'exp': True})}",
        f"Bearer {signed({**GOOD, 'exp': str(NOW_S + 60)})}",
        f"Bearer {signed({**GOOD, 'exp': float('inf')})}",
        f"Bearer {signed({**GOOD, 'exp': float('nan')})}",
        *(f"Bearer {signed({name: GOOD[name] for name in GOOD if name != gone})}" for gone in GOOD),
    ],
)
def test_a_token_that_is_not_ours_or_not_whole_opens_nothing(stranger: TestClient, header: str) -> None:
    answer = stranger.get("/api/limiters", headers={"authorization": header})
    refused(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_good_token_made_elsewhere_with_the_same_secret_is_taken(stranger: TestClient) -> None:
    assert status_with(stranger, f"Bearer {signed(GOOD)}") == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/limiters"),
        ("POST", "/api/limiters"),
        ("GET", "/api/limiters/x"),
        ("PUT", "/api/limiters/x"),
        ("DELETE", "/api/limiters/x"),
        ("POST", "/api/limiters/x/rotate-code"),
        ("GET", "/api/limiters/x/stats"),
        ("GET", "/api/limiters/x/usage"),
        ("GET", "/api/stats"),
        ("GET", "/metrics"),
    ],
)
def test_nothing_is_told_without_a_token(stranger: TestClient, method: str, path: str) -> None:
    refused(stranger.request(method, path), 401, "unauthorized")


def test_a_token_ends_with_its_time(service: Service, stranger: TestClient) -> None:
    header = f"Bearer {login(stranger).json()['token']}"
    service.now += 24 * 3600 * SECOND_US - 1
    assert status_with(stranger, header) == 200
    service.now += 1
    assert status_with(stranger, header) == 401


# The throttle


def test_after_five_failures_even_the_right_password_waits_for_the_minute(
    service: Service, stranger: TestClient
) -> None:
    for _ in range(5):
        refused(login(stranger, "wrong"), 401, "wrong_credentials")
        service.now += SECOND_US
    answer = login(stranger)
    refused(answer, 429, "too_many_attempts")
    assert answer.headers["retry-after"] == "55"

    service.now += 55 * SECOND_US - 1
    assert login(stranger).status_code == 429
    service.now += 1
    assert login(stranger).status_code == 200


def test_signing_in_is_no_failure(stranger: TestClient) -> None:
    assert [login(stranger).status_code for _ in range(12)] == [200] * 12


def test_failures_at_the_same_time_are_counted_before_they_fail(stranger: TestClient) -> None:
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda _: login(stranger, "wrong").status_code, range(12)))
    assert sorted(found) == [401] * 5 + [429] * 7


def test_each_address_has_its_own_failures(service: Service) -> None:
    with service.client("203.0.113.1") as one, service.client("203.0.113.2") as other:
        for _ in range(6):
            login(one, "wrong")
        assert login(one).status_code == 429
        assert login(other).status_code == 200


@pytest.fixture
def behind(tmp_path: Path) -> Service:
    return Service(tmp_path, {"trusted_proxies": networks("10.0.0.0/8")})


def statuses(service: Service, peer: str, forwarded: Iterator[str] | list[str]) -> list[int]:
    with service.client(peer) as client:
        return [
            client.post(
                "/api/auth/login",
                json={"username": "admin", "password": "wrong"},
                headers={"x-forwarded-for": value},
            ).status_code
            for value in forwarded
        ]


def test_a_stranger_cannot_name_another_address_for_himself(behind: Service) -> None:
    found = statuses(behind, "203.0.113.1", [f"198.51.100.{number}" for number in range(6)])
    assert found == [401] * 5 + [429]


def test_a_trusted_proxy_names_its_clients(behind: Service) -> None:
    found = statuses(behind, "10.0.0.1", [f"198.51.100.{number}" for number in range(6)])
    assert found == [401] * 6


def test_what_a_client_wrote_before_the_trusted_proxy_does_not_count(behind: Service) -> None:
    chains = [f"192.0.2.{number}, 198.51.100.7, 10.0.0.2" for number in range(6)]
    assert statuses(behind, "10.0.0.1", chains) == [401] * 5 + [429]


def test_the_addresses_of_one_ipv6_network_are_one(behind: Service) -> None:
    assert statuses(behind, "10.0.0.1", [f"2001:db8::{number}" for number in range(6)]) == [401] * 5 + [429]
    assert statuses(behind, "10.0.0.1", [f"2001:db8:0:{number}::1" for number in range(1, 7)]) == [401] * 6


def test_a_page_of_another_site_cannot_use_up_the_attempts(stranger: TestClient) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"origin": "null"}):
        for _ in range(3):
            answer = stranger.post(
                "/api/auth/login", content='{"username":"a","password":"b"}', headers=headers
            )
            refused(answer, 403, "foreign_site")
    assert login(stranger).status_code == 200


# The secret


def test_a_secret_is_made_beside_the_database_for_its_owner_alone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, jwt_secret=None)
    secret = jwt_secret(settings)
    path = tmp_path / "usage.db.jwt-secret"
    assert len(secret) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert jwt_secret(settings) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_services_that_start_together_share_one_secret(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, jwt_secret=None)
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: jwt_secret(settings), range(16)))) == 1


def test_a_secret_that_was_damaged_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "usage.db.jwt-secret").write_text("short")
    with pytest.raises(SettingError, match="delete the file"):
        jwt_secret(settings_in(tmp_path, jwt_secret=None))


def test_a_token_outlives_a_restart(tmp_path: Path) -> None:
    with Service(tmp_path, {"jwt_secret": None}).client() as client:
        header = signed_in(client).headers["authorization"]
    with Service(tmp_path, {"jwt_secret": None}).client() as client:
        assert status_with(client, header) == 200


def test_a_guess_at_the_password_costs_what_owasp_recommends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in HASHED_WITH.items():
        monkeypatch.setattr(passwords, name, value)
    admin = passwords.Admin(settings_in(tmp_path))
    assert admin._hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert admin.is_it("admin", PASSWORD)
    assert not admin.is_it("admin", PASSWORD + " ")
