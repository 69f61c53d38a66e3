"""Who is let in, what a browser is told, and sessions of the pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from metering.clock import SECOND_US
from metering.errors import SettingError
from metering.setting_values import networks
from stats_service.app import create_app
from stats_service.ended import EndedSessions
from stats_service.sessions import COOKIE
from tests.stats_service.service import PASSWORD, SECRET, Service, login, refused, settings_in, signed_in


def sign_in(client: TestClient, password: str = PASSWORD, **headers: str) -> Any:
    return client.post("/login", data={"username": "admin", "password": password}, headers=headers)


@pytest.fixture
def browser(stranger: TestClient) -> TestClient:
    assert sign_in(stranger).status_code == 303
    return stranger


# Headers


@pytest.mark.parametrize(
    "path",
    ["/", "/login", "/statistics", "/nothing", "/static/app.css", "/api/limiters", "/api/x", "/healthz"],
)
def test_every_answer_ties_the_hands_of_the_browser(browser: TestClient, path: str) -> None:
    headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers
    if not path.startswith("/static"):
        assert headers["cache-control"] == "no-store"


# The default password


@pytest.fixture
def quick_start(tmp_path: Path) -> Service:
    return Service(tmp_path, {"admin_password": None})


@pytest.mark.parametrize(
    "host", ["http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000", "http://LOCALHOST"]
)
def test_the_default_password_works_on_this_machine(quick_start: Service, host: str) -> None:
    with quick_start.client(base_url=host) as client:
        assert login(client, "changeme").status_code == 200
        assert sign_in(client, "changeme").status_code == 303
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "http://example.com",
        "http://localhost.example.com",
        "http://192.168.0.7:3000",
        "http://localhost.:3000",
        "http://127.0.0.1.nip.io",
    ],
)
def test_the_default_password_is_for_no_other_name(quick_start: Service, host: str) -> None:
    with quick_start.client(base_url=host) as client:
        refused(login(client, "changeme"), 403, "default_password")
        assert sign_in(client, "changeme").status_code == 403
        assert client.get("/login").status_code == 403
        assert client.get("/static/app.css").status_code == 403


@pytest.mark.parametrize(
    "header",
    [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-anything",
        "forwarded",
        "via",
        "x-real-ip",
        "x-original-forwarded-for",
        "x-cluster-client-ip",
        "x-azure-clientip",
        "cf-connecting-ip",
    ],
)
def test_the_default_password_is_not_for_those_behind_a_proxy(quick_start: Service, header: str) -> None:
    with quick_start.client() as client:
        answer = client.post(
            "/api/auth/login",
            json={"username": "admin", "password": "changeme"},
            headers={header: "127.0.0.1"},
        )
        refused(answer, 403, "default_password")


def test_a_password_of_ones_own_works_by_any_name_and_behind_a_proxy(service: Service) -> None:
    with service.client("192.168.0.7", "http://limiter.example.com") as client:
        client.headers["x-forwarded-for"] = "203.0.113.9"
        assert login(client).status_code == 200


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"admin_password": None, "stats_host": "0.0.0.0"}, "ADMIN_PASSWORD"),
        ({"admin_password": "changeme", "stats_host": "192.168.0.7"}, "ADMIN_PASSWORD"),
        ({"admin_password": "short"}, "ADMIN_PASSWORD"),
        ({"admin_password": "password123"}, "ADMIN_PASSWORD"),
        ({"jwt_secret": "short"}, "JWT_SECRET"),
        ({"jwt_secret": "your-secret-key-change-in-production"}, "JWT_SECRET"),
    ],
)
def test_a_service_that_strangers_could_enter_does_not_start(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(SettingError, match=named):
        create_app(settings_in(tmp_path, **changes))
    assert list(tmp_path.iterdir()) == []


# Sessions of the pages


def test_the_cookie_of_a_session_is_out_of_reach_of_scripts_and_other_sites(stranger: TestClient) -> None:
    cookie = sign_in(stranger).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=86400"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert stranger.get("/").status_code == 200


def test_the_cookie_is_for_https_alone_when_a_trusted_proxy_says_https(tmp_path: Path) -> None:
    service = Service(tmp_path, {"trusted_proxies": networks("10.0.0.1")})
    for peer, secure in (("10.0.0.1", True), ("10.0.0.2", False)):
        with service.client(peer) as client:
            cookie = sign_in(client, **{"x-forwarded-proto": "https"}).headers["set-cookie"]
            assert ("; Secure" in cookie) is secure
            cookie = sign_in(client, **{"x-forwarded-proto": "https, http"}).headers["set-cookie"]
            assert "; Secure" not in cookie
    with service.client("10.0.0.2", "https://localhost") as client:
        assert "; Secure" in sign_in(client).headers["set-cookie"]


def test_a_session_ends_with_its_time(service: Service, browser: TestClient) -> None:
    service.now += 24 * 3600 * SECOND_US - 1
    assert browser.get("/").status_code == 200
    service.now += 1
    answer = browser.get("/statistics")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/statistics")


def test_a_session_that_was_ended_is_not_taken_again(browser: TestClient) -> None:
    cookie = browser.cookies[COOKIE]
    answer = browser.post("/logout", data={"csrf": form_token(browser)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert COOKIE not in browser.cookies
    assert browser.get("/", headers={"cookie": f"{COOKIE}={cookie}"}).status_code == 303


def test_a_session_that_was_ended_is_not_taken_after_a_restart_either(tmp_path: Path) -> None:
    with Service(tmp_path).client() as client:
        sign_in(client)
        cookie = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
        client.post("/logout", data={"csrf": form_token(client)})
    with Service(tmp_path).client() as client:
        assert client.get("/prices", headers=cookie).status_code == 303


def test_ended_sessions_are_forgotten_with_their_time(service: Service) -> None:
    ended = EndedSessions(service.database, lambda: service.now)
    now_s = service.now // SECOND_US
    ended.add("one", now_s + 1)
    ended.add("two", now_s + 10)
    service.now += 5 * SECOND_US
    ended.add("three", now_s + 20)
    assert [identity in ended for identity in ("one", "two", "three")] == [False, True, True]
    again = EndedSessions(service.database, lambda: service.now)
    assert [identity in again for identity in ("one", "two", "three")] == [False, True, True]


def test_a_session_can_be_ended_while_the_database_is_gone(
    service: Service, browser: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    cookie = {"cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    token = form_token(browser)
    service.settings.database_path.rename(service.folder / "elsewhere.db")
    assert browser.post("/logout", data={"csrf": token}).status_code == 303
    assert browser.get("/prices", headers=cookie).status_code == 303
    assert "would be taken again after a restart" in caplog.text


def test_a_session_outlives_a_restart_and_ends_with_the_password(tmp_path: Path) -> None:
    with Service(tmp_path).client() as client:
        sign_in(client)
        cookie = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    with Service(tmp_path).client() as client:
        assert client.get("/prices", headers=cookie).status_code == 200
    with Service(tmp_path, {"admin_password": "another good password"}).client() as client:
        assert client.get("/prices", headers=cookie).status_code == 303


def test_a_token_is_no_session_and_a_session_is_no_token(browser: TestClient) -> None:
    cookie = browser.cookies[COOKIE]
    assert browser.get("/api/limiters", headers={"authorization": f"Bearer {cookie}"}).status_code == 401
    assert browser.get("/api/limiters").status_code == 401
    token = login(browser).json()["token"]
    browser.cookies.clear()
    assert browser.get("/", headers={"cookie": f"{COOKIE}={token}"}).status_code == 303


def form_token(browser: TestClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get("/limiters/new").text)
    assert found
    return found[1]


FORM = {"name": "A", "budget_limit": "1", "period_type": "day", "base_url": "https://api.openai.com"}
FORM |= {"enforcement": "soft", "unpriced": "reject", "model_map": ""}


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "é"])
def test_a_form_without_the_token_of_the_session_changes_nothing(
    service: Service, browser: TestClient, token: str
) -> None:
    assert browser.post("/limiters/new", data={**FORM, "csrf": token}).status_code == 403
    assert browser.post("/logout", data={"csrf": token}).status_code == 403
    assert service.limiters.list() == []
    assert browser.post("/limiters/new", data={**FORM, "csrf": form_token(browser)}).status_code == 303
    assert len(service.limiters.list()) == 1


def test_the_token_of_another_session_is_not_taken(service: Service, browser: TestClient) -> None:
    with service.client() as other:
        sign_in(other)
        foreign = form_token(other)
    assert browser.post("/limiters/new", data={**FORM, "csrf": foreign}).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"sec-fetch-site": "same-origin", "origin": "http://localhost"}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"origin": "http://localhost"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://localhost:8080"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_nobody_is_signed_in_by_another_site(
    stranger: TestClient, headers: dict[str, str], status: int
) -> None:
    assert sign_in(stranger, **headers).status_code == status
    # A second tab signs in while the first has a session.
    assert sign_in(stranger, **headers).status_code == status


def test_pages_and_api_share_the_throttle(stranger: TestClient) -> None:
    for _ in range(3):
        assert sign_in(stranger, "wrong").status_code == 401
    for _ in range(2):
        assert login(stranger, "wrong").status_code == 401
    assert sign_in(stranger).status_code == 429
    assert login(stranger).status_code == 429


def test_no_secret_stands_in_the_text_of_an_object(service: Service) -> None:
    text = repr(service.app.state.parts)
    assert PASSWORD not in text
    assert SECRET not in text


def test_a_signed_in_program_needs_no_cookie(service: Service) -> None:
    with service.client() as client:
        signed_in(client)
        assert "set-cookie" not in client.get("/api/limiters").headers
