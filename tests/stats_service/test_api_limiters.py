"""Limiters over the API: every field, every kind of bad input, and edits that meet each other."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from starlette.testclient import TestClient

from metering.entries import Admission, Refused
from metering.limiters import by_code
from tests.stats_service.service import Service, create, exact, refused, signed_in

FIELDS = {
    "id",
    "code",
    "proxy_url",
    "created_at",
    "updated_at",
    "name",
    "budget_limit",
    "period_type",
    "base_url",
    "is_active",
    "enforcement",
    "unpriced",
    "allow_unmetered",
    "hide_amounts",
    "model_map",
}


def test_a_limiter_is_created_with_defaults_for_what_is_not_given(admin: TestClient) -> None:
    answer = admin.post(
        "/api/limiters", json={"name": "Customer A", "budget_limit": 20, "period_type": "day"}
    )

    limiter = exact(answer)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/limiters/{limiter['id']}"
    assert set(limiter) == FIELDS
    assert re.fullmatch(r"[a-z2-7]{26}", limiter["code"])
    assert limiter["proxy_url"] == f"http://localhost:8000/v1/{limiter['code']}"
    assert limiter["created_at"] == limiter["updated_at"] == "2026-11-24T12:00:00Z"
    given = {name: limiter[name] for name in FIELDS - {"id", "code", "proxy_url", "created_at", "updated_at"}}
    assert given == {
        "name": "Customer A",
        "budget_limit": 20,
        "period_type": "day",
        "base_url": "https://api.openai.com",
        "is_active": True,
        "enforcement": "soft",
        "unpriced": "reject",
        "allow_unmetered": False,
        "hide_amounts": False,
        "model_map": {},
    }


def test_every_field_can_be_given_and_read_back(admin: TestClient) -> None:
    fields: dict[str, Any] = {
        "name": "Kunde Ü “1”",
        "period_type": "week",
        "base_url": "https://openrouter.ai/api/v1",
        "is_active": False,
        "enforcement": "strict",
        "unpriced": "fallback",
        "allow_unmetered": True,
        "hide_amounts": True,
        "model_map": {"my-deployment": "gpt-4o"},
    }
    limiter = create(admin, "0.000000001", **fields)

    assert {name: limiter[name] for name in fields} == fields
    assert limiter["budget_limit"] == Decimal("0.000000001")
    assert exact(admin.get(f"/api/limiters/{limiter['id']}")) == limiter
    assert exact(admin.get("/api/limiters")) == [limiter]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("20", "20"),
        ("0", "0"),
        ("0.1", "0.1"),
        ("20.50", "20.5"),
        ("123456789.123456789", "123456789.123456789"),
        ("1e3", "1000"),
        ("1000000000", "1000000000"),
        ("0.30000000000", "0.3"),
        ("-0.0", "0"),
    ],
)
def test_a_budget_is_exact_in_the_text_of_the_answer(admin: TestClient, written: str, read: str) -> None:
    limiter = create(admin, written)
    assert f'"budget_limit":{read},' in admin.get(f"/api/limiters/{limiter['id']}").text


@pytest.mark.parametrize(
    "written",
    [
        "-1",
        "-0.000000001",
        "1000000000.000000001",
        "1e999999999",
        "1e-10",
        "0.0000000001",
        "NaN",
        "Infinity",
        "-Infinity",
        "true",
        "null",
        '"20"',
        "[20]",
        "{}",
    ],
)
def test_a_budget_that_is_no_amount_is_refused_by_name(admin: TestClient, written: str) -> None:
    body = f'{{"name": "A", "period_type": "day", "budget_limit": {written}}}'
    refused(admin.post("/api/limiters", content=body), 422, "invalid_field", "budget_limit")
    limiter = create(admin)
    changed = admin.put(f"/api/limiters/{limiter['id']}", content=f'{{"budget_limit": {written}}}')
    refused(changed, 422, "invalid_field", "budget_limit")
    assert exact(admin.get(f"/api/limiters/{limiter['id']}")) == limiter


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 201),
        ("name", 7),
        ("name", None),
        ("name", "line\nbreak"),
        ("name", "\ud800"),
        ("period_type", "decade"),
        ("period_type", "Day"),
        ("period_type", 1),
        ("period_type", None),
        ("base_url", "ftp://example.com"),
        ("base_url", "api.openai.com"),
        ("base_url", "https://user:secret@example.com"),
        ("base_url", "https://example.com/?key=1"),
        ("base_url", "https://example.com/#part"),
        ("base_url", "http://169.254.169.254/latest"),
        ("base_url", "http://[fe80::1]"),
        ("base_url", "https://"),
        ("base_url", ""),
        ("base_url", None),
        ("base_url", ["https://example.com"]),
        ("is_active", "true"),
        ("is_active", 1),
        ("is_active", None),
        ("enforcement", "hard"),
        ("enforcement", True),
        ("unpriced", "free"),
        ("allow_unmetered", 0),
        ("hide_amounts", "no"),
        ("model_map", []),
        ("model_map", "a=b"),
        ("model_map", {"a": 1}),
        ("model_map", {"a": ""}),
        ("model_map", {"": "gpt-4o"}),
        ("model_map", {f"d{number}": "m" for number in range(1001)}),
        ("budget", 20),
        ("self", 1),
        ("limiter_id", "x"),
        ("version", 1),
        ("\ud800", 1),
        ("id", "6a2f41a3-c54c-fce8-32d2-0324e1c32e22"),
        ("code", "a" * 26),
        ("proxy_url", "http://localhost:8000/v1/x"),
        ("created_at", "2026-11-24T12:00:00Z"),
        ("updated_at", "2026-11-24T12:00:00Z"),
    ],
)
def test_a_field_that_is_not_acceptable_is_named(admin: TestClient, field: str, value: Any) -> None:
    body = {"name": "A", "budget_limit": 1, "period_type": "day", field: value}
    named = field.encode("utf-8", "replace").decode()
    refused(admin.post("/api/limiters", content=json.dumps(body)), 422, "invalid_field", named)
    assert admin.get("/api/limiters").json() == []
    limiter = create(admin)
    changed = admin.put(f"/api/limiters/{limiter['id']}", content=json.dumps({field: value}))
    refused(changed, 422, "invalid_field", named)
    assert exact(admin.get(f"/api/limiters/{limiter['id']}")) == limiter


@pytest.mark.parametrize("missing", ["name", "budget_limit", "period_type"])
def test_a_field_that_is_missing_is_named(admin: TestClient, missing: str) -> None:
    body: dict[str, object] = {"name": "A", "budget_limit": 1, "period_type": "day"}
    del body[missing]
    assert "required" in refused(admin.post("/api/limiters", json=body), 422, "invalid_field", missing)


@pytest.mark.parametrize(
    "own",
    [
        "http://localhost:8000",
        "http://127.0.0.1:8000/v1/x",
        "http://0.0.0.0:8000",
        "http://[::1]:8000",
        "http://127.0.0.1:3000",
        "http://localhost.:3000",
        "http://2130706433:8000",
        "https://proxy.example.com",
        "https://PROXY.example.com:443/v1",
    ],
)
def test_our_own_address_is_no_upstream(service: Service, own: str) -> None:
    service = Service(service.folder, {"public_proxy_url": "https://proxy.example.com"})
    with service.client() as client:
        body = {"name": "A", "budget_limit": 1, "period_type": "day", "base_url": own}
        refused(signed_in(client).post("/api/limiters", json=body), 422, "invalid_field", "base_url")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"not json", 400, "invalid_json"),
        (b'{"name": "A"', 400, "invalid_json"),
        (b'{"name": "A", "name": "B"}', 400, "invalid_json"),
        (b'{"model_map": {"a": "b", "a": "c"}}', 400, "invalid_json"),
        (b'{"name": "\xff"}', 400, "invalid_json"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b'{"budget_limit": ' + b"9" * 10_000 + b"}", 400, "invalid_json"),
        (b'{"budget_limit": 1e' + b"9" * 100 + b"}", 400, "invalid_json"),
        (b"[]", 422, "invalid_body"),
        (b"null", 422, "invalid_body"),
        (b'"name"', 422, "invalid_body"),
        (b'{"name": "' + b"x" * 1_100_000 + b'"}', 413, "body_too_large"),
    ],
)
def test_a_body_that_is_no_object_is_refused(admin: TestClient, body: bytes, status: int, code: str) -> None:
    limiter = create(admin)
    refused(admin.post("/api/limiters", content=body), status, code)
    refused(admin.put(f"/api/limiters/{limiter['id']}", content=body), status, code)


def test_a_body_without_a_length_is_bounded_too(admin: TestClient) -> None:
    refused(admin.post("/api/limiters", content=(b" " * 65_536 for _ in range(17))), 413, "body_too_large")


def test_a_change_changes_what_it_names_alone(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    service.now += 1_000_000
    changed = exact(
        admin.put(
            f"/api/limiters/{limiter['id']}",
            content='{"budget_limit": 0.5, "is_active": false, "period_type": "month"}',
        )
    )
    assert changed == limiter | {
        "budget_limit": Decimal("0.5"),
        "is_active": False,
        "period_type": "month",
        "updated_at": "2026-11-24T12:00:01Z",
    }


def test_a_change_of_nothing_changes_nothing(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    service.now += 1_000_000
    assert exact(admin.put(f"/api/limiters/{limiter['id']}", content="{}")) == limiter
    assert exact(admin.put(f"/api/limiters/{limiter['id']}", json={"name": "Customer A"})) == limiter


def test_a_budget_that_was_lowered_is_in_force_on_the_next_admission(
    service: Service, admin: TestClient
) -> None:
    limiter = create(admin)
    service.spend(limiter["id"], 5 * 10**9)
    before = service.limiters.get(limiter["id"])
    admin.put(f"/api/limiters/{limiter['id']}", json={"budget_limit": 5})

    def ask(version: int) -> object:
        with service.ledger() as ledger:
            call = Admission(
                limiter_key=before.key,
                limiter_version=version,
                user="ann",
                model="gpt-4o",
                endpoint="chat/completions",
                hold_nanousd=1,
            )
            return ledger.admit(call, service.now)

    old, new = ask(before.version), ask(service.limiters.get(limiter["id"]).version)
    assert isinstance(old, Refused)
    assert old.code == "limiter_changed"
    assert isinstance(new, Refused)
    assert new.code == "budget_exceeded"


def test_a_new_code_replaces_the_old_one_and_keeps_the_figures(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    service.spend(limiter["id"])
    path = f"/api/limiters/{limiter['id']}"
    before = exact(admin.get(f"{path}/stats"))
    rotated = exact(admin.post(f"{path}/rotate-code"))

    assert rotated["code"] != limiter["code"]
    assert rotated["proxy_url"].endswith(rotated["code"])
    assert exact(admin.get(f"{path}/stats")) == before
    with closing(service.database.open_reader()) as connection:
        assert by_code(connection, limiter["code"]) is None
        assert by_code(connection, rotated["code"]) is not None


def test_a_deleted_limiter_is_gone_from_the_api(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    path = f"/api/limiters/{limiter['id']}"
    deleted = admin.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert admin.get("/api/limiters").json() == []
    for answer in (
        admin.get(path),
        admin.put(path, json={"name": "B"}),
        admin.delete(path),
        admin.post(f"{path}/rotate-code"),
        admin.get(f"{path}/stats"),
        admin.get(f"{path}/usage"),
    ):
        refused(answer, 404, "limiter_not_found")


@pytest.mark.parametrize("identity", ["x", "00000000-0000-0000-0000-000000000000", "%00", "' or 1=1", "é"])
def test_an_id_that_nobody_has_is_not_found(admin: TestClient, identity: str) -> None:
    create(admin)
    refused(admin.get(f"/api/limiters/{identity}"), 404, "limiter_not_found")


def test_edits_at_the_same_time_are_all_kept(admin: TestClient) -> None:
    limiter = create(admin)
    path = f"/api/limiters/{limiter['id']}"
    changes: list[dict[str, Any]] = [
        {"name": "Renamed"},
        {"budget_limit": 7},
        {"period_type": "month"},
        {"is_active": False},
        {"enforcement": "observe"},
        {"unpriced": "fallback"},
        {"allow_unmetered": True},
        {"hide_amounts": True},
    ]
    with ThreadPoolExecutor(len(changes)) as threads:
        answers = list(threads.map(lambda change: admin.put(path, json=change), changes))

    assert [answer.status_code for answer in answers] == [200] * len(changes)
    after = exact(admin.get(path))
    assert after == limiter | {name: value for change in changes for name, value in change.items()}


def test_limiters_created_at_the_same_time_are_all_different(admin: TestClient) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda number: create(admin, name=f"Customer {number}"), range(24)))
    assert len({limiter["id"] for limiter in made}) == len({limiter["code"] for limiter in made}) == 24
    assert {limiter["name"] for limiter in admin.get("/api/limiters").json()} == {
        f"Customer {number}" for number in range(24)
    }
