"""Tables as files: whole, exact, streamed, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from metering.clock import DAY_US, parse_time
from metering.money import NANO
from stats_service.pages import exports
from stats_service.pages.files import CsvFile, Dollars, JsonFile, guarded
from stats_service.pages.site import Site as PagesSite
from stats_service.schemas import SCHEMAS
from tests.stats_service.pages_site import PASSWORD, Site

NOON = parse_time("2026-11-24T12:00:00Z")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, now=NOON)


@pytest.fixture
def browser(site: Site) -> Iterator[TestClient]:
    with TestClient(site.app, follow_redirects=False) as client:
        client.post("/login", data={"username": "admin", "password": PASSWORD})
        yield client


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＠x"])
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"
    assert guarded(f"a{cell}") == f"a{cell}"


def test_amounts_are_exact_in_both_kinds() -> None:
    table = [("a", Dollars(325), True, None, 7)]
    columns = ("name", "cost", "flag", "nothing", "count")
    assert CsvFile(columns).rows(table) == "a,0.000000325,true,,7\r\n"
    assert json.loads("[" + JsonFile(columns).rows(table) + "]", parse_float=Decimal) == [
        {"name": "a", "cost": Decimal("0.000000325"), "flag": True, "nothing": None, "count": 7}
    ]


def test_an_empty_file_is_whole() -> None:
    file = JsonFile(("a",))
    assert json.loads(file.start() + file.rows([]) + file.end()) == []


def test_hostile_users_are_harmless_in_a_spreadsheet_and_unchanged_in_json(
    browser: TestClient, site: Site
) -> None:
    limiter = site.create('=HYPERLINK("http://evil")')
    site.spend(limiter, NANO, user="@SUM(1+1)*cmd|' /C calc'!A0")
    for path in ("/export/users.csv", "/export/requests.csv", f"/limiters/{limiter.id}/export/calls.csv"):
        (row,) = rows(browser.get(path).text)
        assert row["user"].startswith("'@"), path
        assert row["limiter_name"].startswith("'="), path
    (row_of_json,) = browser.get("/export/requests.json").json()
    assert row_of_json["user"].startswith("@SUM")


@pytest.mark.parametrize(
    ("table", "shape"), [("limiters", "LimiterRow"), ("users", "UserRow"), ("models", "ModelRow")]
)
def test_every_table_can_be_taken_away_and_adds_up(
    browser: TestClient, site: Site, table: str, shape: str
) -> None:
    one, two = site.create("One"), site.create("Two")
    site.spend(one, NANO, user="ann", model="gpt-4o")
    site.spend(two, 325_000, user="bob", model="o3")
    answer = browser.get(f"/export/{table}.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert (
        answer.headers["content-disposition"]
        == f'attachment; filename="{table}-2026-10-26-to-2026-11-24.csv"'
    )
    assert sum(Decimal(row["total_cost"]) for row in rows(answer.text)) == Decimal("1.000325")
    from_json = json.loads(browser.get(f"/export/{table}.json").text, parse_float=Decimal)
    assert sum(row["total_cost"] for row in from_json) == Decimal("1.000325")
    schema: Any = SCHEMAS[shape]
    assert set(from_json[0]) == set(schema["properties"]), "the fields are those of the API"
    if table != "models":
        assert {row["limiter_id"]: row["limiter_name"] for row in from_json} == {one.id: "One", two.id: "Two"}


def test_an_exported_table_tells_the_deleted_limiter_from_its_namesake(
    browser: TestClient, site: Site
) -> None:
    one, two = site.create("Acme"), site.create("Acme")
    site.spend(one, user="ann")
    site.spend(two, user="ann")
    site.limiters.delete(one.id)
    for table in ("limiters", "users"):
        found = {
            row["limiter_id"]: row["limiter_deleted"] for row in browser.get(f"/export/{table}.json").json()
        }
        assert found == {one.id: True, two.id: False}


def test_raw_requests_are_those_of_the_range_in_the_words_of_the_api(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    site.spend(limiter, at_us=NOON - 40 * DAY_US)
    kept = [site.spend(limiter, at_us=NOON - DAY_US), site.spend(limiter), site.hold(limiter)]
    found = browser.get("/export/requests.json?from=2026-11-23&to=2026-11-24").json()
    assert [row["id"] for row in found] == kept
    assert list(found[0]) == list(exports.REQUEST_COLUMNS)
    assert found[0]["started_at"] == "2026-11-23T12:00:00Z"
    assert [(row["state"], row["cost"]) for row in found] == [("settled", 1), ("settled", 1), ("held", None)]
    assert len(browser.get("/export/requests.json?range=365d").json()) == 4
    assert len(browser.get(f"/limiters/{limiter.id}/export/calls.json").json()) == 4


def test_no_row_is_lost_or_doubled_between_pages(
    browser: TestClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE_ROWS", 3)
    limiters = [site.create("One"), site.create("Empty"), site.create("Two")]
    # Several at the same moment, so that the moment alone does not say where a page ends.
    ids = [site.spend(limiter, at_us=NOON - number // 4) for limiter in limiters[::2] for number in range(10)]
    found = [int(row["id"]) for row in rows(browser.get("/export/requests.csv").text)]
    assert sorted(found) == sorted(ids)
    assert len(found) == len(set(found))


def test_between_pages_no_transaction_is_open(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PAGE_ROWS", 1)
    opened: list[sqlite3.Connection] = []
    reader = site.database.open_reader

    def remembered() -> sqlite3.Connection:
        opened.append(reader())
        return opened[-1]

    monkeypatch.setattr(site.database, "open_reader", remembered)
    limiter = site.create()
    for number in range(3):
        site.spend(limiter, at_us=NOON + number)
    opened.clear()
    for _ in exports._pages(PagesSite(site), limiter.key, (0, NOON * 2)):
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            opened[-1].execute("select 1")
    assert len(opened) == 4


def test_what_does_not_exist_is_not_found(browser: TestClient) -> None:
    for path in ("/export/secrets.csv", "/export/users.xml", "/limiters/none/export/calls.csv"):
        assert browser.get(path).status_code == 404


def test_without_a_session_nothing_is_exported(site: Site) -> None:
    with TestClient(site.app, follow_redirects=False) as client:
        assert client.get("/export/requests.csv").status_code == 303
