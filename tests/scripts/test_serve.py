"""`scripts/serve` as its users meet it: addresses, faults at start, deaths, and the end."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from addons.serve import check
from metering import schema
from metering.database import Database
from metering.errors import StoreError
from tests.end_to_end.stack import until
from tests.scripts.product import PRICES, product

PROXY = r"Proxy: +(http://127\.0\.0\.1:\d+)$"
DASHBOARD = r"Dashboard: +(http://127\.0\.0\.1:\d+)$"


def test_both_addresses_are_printed_when_both_answer_and_one_signal_stops_everything(tmp_path: Path) -> None:
    with product(tmp_path, WORKERS="2") as running:
        proxy, service = running.until(f"^serve .*{PROXY}")[1], running.until(f"^serve .*{DASHBOARD}")[1]
        for address in (proxy, service):
            assert httpx.get(f"{address}/healthz").status_code == 200
        assert len(running.children("addons.worker")) == 2
        running.process.send_signal(signal.SIGINT)
        assert running.rest().startswith("serve   | Stopping.")
        assert running.process.returncode == 0
        assert {line.split(" ")[0] for line in running.lines} <= {"serve", "proxy-1", "proxy-2", "service"}
        for address in (proxy, service):
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{address}/healthz")


def test_lines_are_json_where_the_log_is(tmp_path: Path) -> None:
    with product(tmp_path, LOG_FORMAT="json") as running:
        running.until("Dashboard")
        running.process.terminate()
        lines = [*running.lines, *running.rest().splitlines()]
    assert {json.loads(line)["process"] for line in lines} >= {"serve", "service"}


def test_the_default_password_is_told(tmp_path: Path) -> None:
    with product(tmp_path, ADMIN_PASSWORD="") as running:
        running.until("Sign in as admin with the password changeme")


def test_a_worker_and_the_service_that_die_are_started_again(tmp_path: Path) -> None:
    with product(tmp_path) as running:
        proxy, service = running.until(PROXY)[1], running.until(DASHBOARD)[1]
        for part, name, address in (
            ("addons.worker", "proxy-1", proxy),
            ("stats_service", "service", service),
        ):
            (before,) = running.children(part)
            os.kill(before, signal.SIGKILL)
            running.until(f"{name} was ended by SIGKILL. It is started again.")
            answered = httpx.HTTPTransport(retries=8)
            with httpx.Client(transport=answered, timeout=60) as client:
                assert client.get(f"{address}/healthz").status_code == 200
            (after,) = running.children(part)
            assert after != before


def test_too_many_deaths_stop_everything_and_the_bound_can_be_raised(tmp_path: Path) -> None:
    with product(tmp_path, "--deaths-per-minute", "2") as running:
        running.until(DASHBOARD)
        os.kill(running.children("addons.worker")[0], signal.SIGKILL)
        running.until("started again")
        os.kill(running.children("stats_service")[0], signal.SIGKILL)
        assert "service was ended by SIGKILL. That is too often: everything stops." in running.rest()
        assert running.process.returncode == 1


def test_everything_ends_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with product(tmp_path, WORKERS="2") as running:
        running.until(DASHBOARD)
        children = [*running.children("addons.worker"), *running.children("stats_service")]
        assert len(children) == 3
        running.process.kill()
        until(lambda: [pid for pid in children if is_running(pid)], lambda left: not left)


def is_running(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked after does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()
    return state != "" and not state.startswith("Z")


def test_the_service_can_be_left_to_somebody_else(tmp_path: Path) -> None:
    with product(tmp_path, "--proxy-only") as running:
        running.until(PROXY)
        assert running.children("stats_service") == []


@pytest.mark.parametrize("name", ["PORT", "STATS_PORT"])
def test_a_port_in_use_is_named(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with product(tmp_path, **{name: port}) as running:
            assert running.rest() == f"{name} {port} is in use on 127.0.0.1.\n"
            assert running.process.returncode == 1


def test_a_second_instance_on_the_same_database_is_refused(tmp_path: Path) -> None:
    with product(tmp_path) as first:
        first.until(DASHBOARD)
        with product(tmp_path) as second:
            said = second.rest()
        assert said == (
            f"Cannot start: another instance already serves {tmp_path / 'usage.db'}. Stop it, or set DATABASE_URL.\n"
        )
        assert second.process.returncode == 1


def test_a_newer_version_leaves_the_database_of_an_instance_that_serves_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:{tmp_path / 'usage.db'}")
    monkeypatch.setenv("PRICING_FILE", str(PRICES))
    newer = list(schema.MIGRATIONS)
    monkeypatch.setattr(schema, "MIGRATIONS", newer[:-1])

    def migrations() -> int:
        with closing(Database(tmp_path / "usage.db").open_reader()) as connection:
            return int(connection.execute("select count(*) from metering_migrations").fetchone()[0])

    with ExitStack() as serving:
        check(serving, has_service=False)
        monkeypatch.setattr(schema, "MIGRATIONS", newer)
        with ExitStack() as refused, pytest.raises(StoreError, match="another instance already serves"):
            check(refused, has_service=False)
        assert migrations() == len(newer) - 1
    with ExitStack() as serving:
        check(serving, has_service=False)
    assert migrations() == len(newer)


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with product(tmp_path, MAX_BODY_MB="lots") as running:
        assert running.rest() == "MAX_BODY_MB must be a whole number from 1 to 2047, and is 'lots'.\n"
        assert running.process.returncode == 1


def test_a_dashboard_for_strangers_without_a_password_is_refused(tmp_path: Path) -> None:
    with product(tmp_path, STATS_HOST="0.0.0.0", ADMIN_PASSWORD="") as running:
        assert running.rest().startswith("ADMIN_PASSWORD must be set, because STATS_HOST is 0.0.0.0")
        assert running.process.returncode == 1


def test_a_price_book_that_cannot_be_used_is_named_with_its_line(tmp_path: Path) -> None:
    book = tmp_path / "pricing.yaml"
    book.write_text("models:\n  gpt-4o: [\n")
    with product(tmp_path, PRICING_FILE=str(book)) as running:
        said = running.rest()
        assert said.startswith(f"{book}, line ")
        assert said.count("\n") == 1
        assert running.process.returncode == 1


@pytest.mark.parametrize("kind", ["garbage", "another program's"])
def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "usage.db"
    if kind == "garbage":
        path.write_bytes(b"This is no database. " * 1_000)
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("create table recipes (title text)")
    with product(tmp_path) as running:
        said = running.rest()
        assert said.startswith(f"Cannot open the database: {path}")
        assert said.count("\n") == 1
        assert running.process.returncode == 1
