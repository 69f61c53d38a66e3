"""What somebody sends who wants to break the service: no answer is a fault of ours, and nothing is held for ever."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from metering.clock import DAY_US, HOUR_US
from metering.database import Database
from metering.reports import RangeSums
from stats_service import reading
from stats_service.answers import ApiError
from stats_service.pages import access
from stats_service.pages.live import Hub
from stats_service.pages.site import Site as PagesSite
from stats_service.sessions import COOKIE
from stats_service.sums import RangeReader
from tests.stats_service.pages_site import Site
from tests.stats_service.service import NOON, PASSWORD, Service, create, signed_in

HUGE = "9" * 40


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
def admin(service: Service) -> Iterator[TestClient]:
    """With a token for the API, and a session for the pages."""
    with service.client() as client:
        assert client.post("/login", data={"username": "admin", "password": PASSWORD}).status_code == 303
        yield signed_in(client)


@pytest.mark.parametrize(
    "before", ["²", "٣", HUGE, "1" * 5_000, "-1", "0", "1e3", "%00", "9223372036854775808"]
)
def test_a_place_in_the_calls_that_is_none_shows_a_page(admin: TestClient, before: str) -> None:
    limiter = create(admin)
    assert admin.get(f"/limiters/{limiter['id']}?before={before}").status_code == 200


def test_calls_are_not_paged_by_the_calls_of_another_limiter(admin: TestClient, service: Service) -> None:
    one, other = create(admin), create(admin, name="Customer B")
    service.spend(one["id"], at_us=NOON - HOUR_US)
    foreign = service.spend(other["id"], at_us=NOON)
    page = admin.get(f"/limiters/{one['id']}?before={foreign}").text
    assert f"/limiters/{one['id']}/calls/" not in page


@pytest.mark.parametrize("call", [HUGE, "9" * 5_000, "²", "-1", "0", "x"])
def test_a_call_that_cannot_be_is_not_found(admin: TestClient, call: str) -> None:
    limiter = create(admin)
    assert admin.get(f"/limiters/{limiter['id']}/calls/{call}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "from=9999-12-01&to=9999-12-31",
        "from=1970-01-01&to=1970-01-02",
        "from=0001-01-01&to=0001-01-02",
        "from=9999-12-31T23:59:59Z&to=9999-12-31T23:59:59Z",
        f"from={HUGE}&to={HUGE}",
        f"users_page={HUGE}&limiters_page=-1&models_page=²",
        "by=%00&users_sort=__class__&range=%27",
        "&".join(f"a{number}=1" for number in range(5_000)),
    ],
)
@pytest.mark.parametrize("path", ["/statistics", "/export/users.csv", "/export/requests.json"])
def test_no_range_breaks_the_statistics(admin: TestClient, path: str, query: str) -> None:
    assert admin.get(f"{path}?{query}").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/%00",
        "/static/..%2f..%2fpricing.yaml",
        "/static/%2e%2e/templates/base.html",
        "/static/" + "a" * 5_000,
        "/limiters/%00",
        "/limiters/%ff%fe",
        "/limiters/" + "a" * 5_000,
        "//evil.example/",
        "/%5cevil.example/",
        "/export/users%00.csv",
        "/export/..%2f..%2fetc.csv",
    ],
)
def test_no_path_leads_out_or_breaks_anything(admin: TestClient, path: str) -> None:
    assert admin.get(f"http://localhost{path}").status_code == 404


@pytest.mark.parametrize("field", ["name", "base_url", "period_type"])
@pytest.mark.parametrize("text", ["\\ud800", "a\\u0000b", "\\u202e\\u2028"])
def test_text_that_cannot_be_stored_or_shown_is_refused_or_taken_whole(
    admin: TestClient, field: str, text: str
) -> None:
    fields = {"name": "N", "period_type": "day", "budget_limit": 1, field: "X"}
    body = json.dumps(fields).replace('"X"', f'"{text}"')
    assert admin.post("/api/limiters", content=body).status_code in {201, 400, 422}
    assert admin.get("/").status_code == 200


@pytest.mark.parametrize("name", ["é", "\\ud800", "管理者", "\\u0000"])
def test_a_name_of_any_letters_may_try_to_sign_in(service: Service, name: str) -> None:
    with service.client() as stranger:
        body = f'{{"username": "{name}", "password": "{name}"}}'.encode()
        assert stranger.post("/api/auth/login", content=body).status_code == 401
        assert stranger.post("/login", data={"username": name, "password": name}).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 3_000,
        b'{"alg":"HS256","kid":{}}',
        b'{"alg":"none"}',
        b'{"alg":["HS256"]}',
        b"\xff",
        b"1" * 3_000,
    ],
)
def test_a_cookie_that_is_made_up_signs_nobody_in(service: Service, header: bytes) -> None:
    made_up = base64.urlsafe_b64encode(header).decode().rstrip("=") + ".e30.AAAA"
    with service.client() as stranger:
        for path in ("/", "/live", "/api/limiters"):
            headers = {"cookie": f"{COOKIE}={made_up}; flash=%ff%00", "authorization": f"Bearer {made_up}"}
            assert stranger.get(path, headers=headers).status_code in {303, 401}


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PROPFIND", "PUT"])
@pytest.mark.parametrize("path", ["/", "/login", "/live", "/statistics", "/api/stats", "/static/app.css"])
def test_no_other_method_is_answered(admin: TestClient, method: str, path: str) -> None:
    assert admin.request(method, path).status_code == 405


def test_head_begins_no_stream(admin: TestClient) -> None:
    answer = admin.head("/live")
    assert (answer.status_code, answer.content) == (200, b"")


def test_streams_are_bounded_and_one_that_ended_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[Hub.__module__], "VIEWERS_MAX", 2)
    site = Site(tmp_path, now=NOON)

    async def look() -> None:
        hub = Hub(PagesSite(site), every_s=0)
        streams = [hub.stream(None, lambda: True) for _ in range(2)]
        for stream in streams:
            assert hub.has_room
            await anext(stream)
        assert not hub.has_room
        await streams[0].aclose()
        assert hub.has_room
        hub.close()
        await streams[1].aclose()

    asyncio.run(look())


def _never_sent(headers: dict[str, str]) -> Request:
    async def receive() -> Any:
        await asyncio.Event().wait()

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def test_a_body_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BODY_WITHIN_S", 0.01)
    monkeypatch.setattr(access, "FORM_WITHIN_S", 0.01)
    form = {"content-length": "9", "content-type": "application/x-www-form-urlencoded"}
    with pytest.raises(ApiError) as refusal:
        asyncio.run(reading.json_object(_never_sent({"content-length": "9"})))
    assert refusal.value.status == 408
    assert asyncio.run(access.read_form(_never_sent(form))) is None


def test_a_limiter_that_is_made_while_its_sums_are_read_is_shown(tmp_path: Path) -> None:
    site = Site(tmp_path, now=NOON)

    class Meanwhile(RangeReader):
        def __init__(self, database: Database) -> None:
            super().__init__(database)

        def sums(self, from_us: int, to_us: int, now_us: int) -> RangeSums:
            site.spend(site.create("Made meanwhile"))
            return super().sums(from_us, to_us, now_us)

    site.ranges = Meanwhile(site.database)
    report = PagesSite(site).report(NOON - NOON % DAY_US, NOON - NOON % DAY_US + DAY_US, NOON)
    assert [row.name for row in report.limiters] == ["Made meanwhile"]


def test_a_clock_that_steps_back_breaks_no_page(admin: TestClient, service: Service) -> None:
    limiter = create(admin)
    service.spend(limiter["id"])
    service.now = NOON - 30_000_000
    for path in (
        "/",
        "/statistics?range=today",
        f"/limiters/{limiter['id']}",
        f"/limiters/{limiter['id']}/stats",
    ):
        assert admin.get(path).status_code == 200
    service.now = NOON + 1
    service.spend(limiter["id"], at_us=NOON + 3 * DAY_US)
    for path in ("/", "/statistics?range=today", f"/limiters/{limiter['id']}"):
        assert admin.get(path).status_code == 200
