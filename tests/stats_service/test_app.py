"""The service as a whole: addresses that nobody has, a database that is gone, dead workers, start and stop."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from metering.clock import now_us
from metering.database import Database
from metering.entries import Admission, Admitted
from metering.ledger import Ledger
from metering.limiters import Limiters
from metering.liveness import Worker
from stats_service import json_text
from stats_service.access_log import shown
from stats_service.expiring import Expiring
from stats_service.json_text import Dollars
from stats_service.throttle import ADDRESSES_MAX, Throttle
from tests.stats_service.service import PASSWORD, ROOT, Service, create, exact, login, refused


def until(good: Callable[[], bool], deadline_s: float = 20) -> None:
    """Wait for a condition, with a deadline."""
    stop = time.monotonic() + deadline_s
    while not good():
        assert time.monotonic() < stop, "It did not come."
        threading.Event().wait(0.01)


# Addresses


@pytest.mark.parametrize(
    "path", ["/api", "/api/x", "/api/limiters/x/y", "/metrics/x", "/healthz/x", "/api//limiters"]
)
def test_an_address_that_is_none_is_told_so_in_json_below_the_api(admin: TestClient, path: str) -> None:
    refused(admin.get(path), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["/nothing", "/limiters", "/apis", "/statistics/x", "//evil.example", "//evil.example/"]
)
def test_an_address_that_is_none_is_a_page_elsewhere(admin: TestClient, path: str) -> None:
    answer = admin.get(f"http://localhost{path}")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/api/limiters", "GET, HEAD, POST"),
        ("POST", "/api/limiters/x", "DELETE, GET, HEAD, PUT"),
        ("GET", "/api/auth/login", "POST"),
        ("DELETE", "/api/stats", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_all_that_are_right(
    admin: TestClient, method: str, path: str, allowed: str
) -> None:
    answer = admin.request(method, path)
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


def test_a_wrong_method_on_a_page_is_told_all_that_are_right(admin: TestClient) -> None:
    answer = admin.delete("/login")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_a_slash_too_many_leads_to_the_address_without_it(admin: TestClient) -> None:
    answer = admin.get("/api/limiters/?x=1", headers={"host": "evil.example"})
    assert (answer.status_code, answer.headers["location"]) == (308, "/api/limiters?x=1")
    assert admin.get("/statistics/").headers["location"] == "/statistics"
    body = {"name": "A", "budget_limit": 1, "period_type": "day"}
    assert admin.post("/api/limiters/", json=body, follow_redirects=True).status_code == 201


def test_head_answers_as_get_does_without_the_body(admin: TestClient) -> None:
    for path in ("/api/limiters", "/healthz", "/metrics", "/login"):
        answer = admin.head(path)
        assert answer.content == b""
        assert answer.status_code == admin.get(path).status_code


# A database that does not do as it is asked


def test_a_database_that_is_gone_is_a_503_everywhere_and_its_return_is_noticed(
    service: Service, admin: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    limiter = create(admin)
    admin.post("/login", data={"username": "admin", "password": PASSWORD})
    elsewhere = service.folder / "elsewhere"
    elsewhere.mkdir()
    files = [one for one in service.folder.iterdir() if one.name.startswith("usage.db") and one.is_file()]
    for file in files:
        file.rename(elsewhere / file.name)
    path = f"/api/limiters/{limiter['id']}"
    for answer in (
        admin.get("/api/limiters"),
        admin.get(path),
        admin.get(f"{path}/stats"),
        admin.get(f"{path}/usage"),
        admin.get("/api/stats"),
        admin.get("/metrics"),
        admin.put(path, json={"name": "B"}),
        admin.post("/api/limiters", json={"name": "A", "budget_limit": 1, "period_type": "day"}),
        admin.delete(path),
    ):
        message = refused(answer, 503, "database_unavailable")
        assert "unable to open database file" in message
        assert answer.headers["retry-after"]
    # What is open says nothing about this machine.
    assert "log" in refused(admin.get("/healthz"), 503, "database_unavailable")
    page = admin.get("/")
    assert page.status_code == 503
    assert "The database does not answer" in page.text
    assert login(admin).status_code == 200

    for file in files:
        (elsewhere / file.name).rename(file)
    assert exact(admin.get(path)) == limiter


def test_a_bug_tells_the_client_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.app.state.parts.auth.issue = None  # What a bug would look like.
    with service.client() as client:
        answer = login(client)
        message = refused(answer, 500, "internal_error")
        assert "log" in message
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


def test_a_bug_on_a_page_is_a_page_that_tells_nothing(service: Service) -> None:
    service.app.state.parts.sessions.of = None  # What a bug would look like.
    with service.client() as client:
        answer = client.get("/statistics")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "NoneType" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


# Dead workers


def test_what_a_dead_worker_held_is_charged_by_the_service(tmp_path: Path) -> None:
    service = Service(tmp_path)
    limiter = Limiters(service.database).create(name="A", budget_limit=20, period_type="day")
    dead = Worker.start(service.database, "proxy")
    with Ledger(service.database, dead.name) as ledger:
        held = ledger.admit(
            Admission(
                limiter_key=limiter.key,
                limiter_version=limiter.version,
                user="ann",
                model="gpt-4o",
                endpoint="chat/completions",
                hold_nanousd=7,
            ),
            service.now,
        )
        assert isinstance(held, Admitted)
    dead.stop()
    with service.client(), contextlib.closing(service.database.open_reader()) as connection:

        def state() -> Any:
            return connection.execute("select state, cost_nanousd from requests").fetchone()

        until(lambda: state()[0] != "held")
        assert state() == ("expired", 7)


def test_a_database_that_is_out_of_reach_is_said_once_and_looked_at_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(tmp_path / "usage.db")
    database.migrate()
    elsewhere = tmp_path / "elsewhere.db"
    database.path.rename(elsewhere)
    looks: list[int] = []

    def clock() -> int:
        looks.append(1)
        return now_us()

    expiring = Expiring(database, clock, every_s=0.01)
    expiring.start()
    until(lambda: bool(caplog.records))
    limiters = Limiters(database)
    elsewhere.rename(database.path)
    limiter = limiters.create(name="A", budget_limit=20, period_type="day")
    dead = Worker.start(database, "proxy")
    call = Admission(
        limiter_key=limiter.key,
        limiter_version=limiter.version,
        user="ann",
        model="gpt-4o",
        endpoint="chat/completions",
        hold_nanousd=7,
    )
    with Ledger(database, dead.name) as ledger:
        ledger.admit(call, now_us())
    dead.stop()
    until(lambda: bool(looks))
    expiring.stop()
    said = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert len(said) == 1
    assert said[0].startswith("Holds of dead workers are not expired. Cannot open the database")


# What is logged


def test_the_access_log_shows_neither_tokens_nor_codes(
    service: Service, admin: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    limiter = create(admin)
    token = admin.headers["authorization"].removeprefix("Bearer ")
    with caplog.at_level(logging.INFO, "stats_service"):
        admin.get(f"/v1/{limiter['code']}/models?key=sk-secret")
        admin.get(f"/api/stats?token={token}")
        admin.get("/a%0Ab")
        admin.post("/login", data={"username": "admin", "password": PASSWORD})
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("access_log")]
    assert [re.sub(r"\d+ ms", "_ ms", line) for line in lines] == [
        "127.0.0.1 GET /v1/.../models 404 _ ms",
        "127.0.0.1 GET /api/stats 422 _ ms",
        "127.0.0.1 GET /a\\nb 404 _ ms",
        "127.0.0.1 POST /login 303 _ ms",
    ]
    text = caplog.text
    assert token not in text
    assert PASSWORD not in text
    assert limiter["code"] not in text
    assert "sk-secret" not in text
    assert shown("/" + "x" * 10_000) == "/" + "x" * 199


# Exact numbers


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [(0, "0"), (1, "0.000000001"), (10**9, "1"), (-15 * 10**8, "-1.5"), (10**27, "1" + "0" * 18)],
)
def test_amounts_are_written_with_each_digit_that_they_have(nanousd: int, text: str) -> None:
    assert json_text.write({"a": Dollars(nanousd)}) == f'{{"a":{text}}}'.encode()


def test_no_number_becomes_a_float() -> None:
    assert json_text.read(b"[0.1, 1e2, 7]") == [Decimal("0.1"), Decimal(100), 7]
    assert not any(isinstance(value, float) for value in json_text.read(b"[0.1, 1e2, NaN]"))  # type: ignore[attr-defined]
    for value in (object(), Decimal("NaN")):
        with pytest.raises(TypeError):
            json_text.write(value)


# The throttle by itself


def test_the_throttle_remembers_a_bounded_number_of_addresses() -> None:
    throttle = Throttle()
    for number in range(ADDRESSES_MAX + 10):
        assert throttle.begin(f"198.51.{number // 256}.{number % 256}", number)
    assert len(throttle._failures) == ADDRESSES_MAX


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    throttle = Throttle()
    for _ in range(5):
        assert throttle.begin("203.0.113.1", 10**15)
    assert not throttle.begin("203.0.113.1", 10**15)
    assert throttle.begin("203.0.113.1", 10**14)


# A process of its own


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    return kept | {
        "PORT": "0",
        "STATS_PORT": "0",
        "DATABASE_URL": f"sqlite:{folder / 'usage.db'}",
        "PRICING_FILE": str(ROOT / "tests" / "addons" / "prices.yaml"),
        "ADMIN_PASSWORD": PASSWORD,
        "PYTHONUNBUFFERED": "1",
        **more,
    }


COMMAND = [sys.executable, "-O", "-m", "stats_service"]


@contextlib.contextmanager
def started(
    folder: Path, pass_fds: tuple[int, ...] = (), **more: str
) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """The process, its address and the file of what it prints."""
    printed = folder / f"{len(list(folder.glob('*.log')))}.log"
    with printed.open("w") as out:
        process = subprocess.Popen(
            COMMAND,
            cwd=ROOT,
            env=environment(folder, **more),
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=pass_fds,
        )
    try:
        until(lambda: "Dashboard and API" in printed.read_text() or process.poll() is not None)
        found = re.search(r"http://[^\s\"]+", printed.read_text())
        assert found, printed.read_text()
        yield process, found[0], printed
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_at_once_although_streams_are_open(tmp_path: Path, number: int) -> None:
    with (
        started(tmp_path) as (process, address, printed),
        httpx.Client(base_url=address, timeout=20) as client,
    ):
        until(lambda: client.get("/healthz").status_code == 200)
        client.post("/login", data={"username": "admin", "password": PASSWORD})
        with client.stream("GET", "/live") as stream:
            assert stream.status_code == 200
            events = stream.iter_raw()
            next(events)
            begun = time.monotonic()
            process.send_signal(number)
            # What is under way may still come; then the stream ends properly, or reading it would raise.
            list(events)
        assert process.wait(10) == 0
        assert time.monotonic() - begun < 5
        assert "Traceback" not in printed.read_text()


def test_the_service_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    theirs, ours = os.pipe()
    with started(tmp_path, (theirs,), LIFELINE_FD=str(theirs)) as (process, _, _printed):
        os.close(theirs)
        os.close(ours)
        assert process.wait(10) in (0, -signal.SIGTERM)


def test_the_service_logs_as_json_where_that_is_set(tmp_path: Path) -> None:
    with started(tmp_path, LOG_FORMAT="json", LOG_LEVEL="debug") as (process, address, printed):
        assert httpx.get(f"{address}/healthz").status_code == 200
        process.terminate()
        process.wait(10)
        lines = [json.loads(line) for line in printed.read_text().splitlines()]
        assert {"time", "level", "logger", "message"} == set(lines[0])
        assert any("GET /healthz 200" in line["message"] for line in lines)


def refusal_of(folder: Path, **more: str) -> str:
    """What a service says that does not start; one sentence, exit code 2."""
    ended = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    assert refusal_of(tmp_path, STATS_PORT="http").startswith("STATS_PORT must be a whole number")


def test_a_password_that_everybody_knows_does_not_serve_others(tmp_path: Path) -> None:
    assert "ADMIN_PASSWORD must be set" in refusal_of(tmp_path, ADMIN_PASSWORD="", STATS_HOST="0.0.0.0")


def test_a_database_of_another_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "usage.db").write_bytes(b"not a database, but long enough to look like one" * 100)
    assert "file is not a database" in refusal_of(tmp_path)


def test_a_price_book_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    book = tmp_path / "prices.yaml"
    book.write_text("models: 7\n")
    assert str(book) in refusal_of(tmp_path, PRICING_FILE=str(book))


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal_of(tmp_path, STATS_PORT=str(port))
    assert said == f"STATS_PORT {port} on 127.0.0.1 cannot be used: Address already in use."
    assert not (tmp_path / "usage.db").exists()


def test_two_services_that_start_together_make_one_database(tmp_path: Path) -> None:
    with started(tmp_path) as (_, one, _printed), started(tmp_path) as (_, other, _printed_too):
        for address in (one, other):
            answer = httpx.post(f"{address}/api/auth/login", json={"username": "admin", "password": PASSWORD})
            token = answer.json()["token"]
            # One secret: the token of the one is good for the other.
            header = {"authorization": f"Bearer {token}"}
            assert httpx.get(f"{one}/api/limiters", headers=header).json() == []
    assert Limiters(Database(tmp_path / "usage.db"), now_us).list() == []
