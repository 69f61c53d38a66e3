"""The contract is true: every route is in it, and every answer has exactly the fields that it says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from metering.limiter_fields import read_fields
from stats_service.api_limiters import READ_ONLY, SETTABLE
from stats_service.openapi import document
from tests.stats_service.service import PASSWORD, ROOT, Service, create, exact, signed_in

DOCUMENT: Any = json.loads(json.dumps(document()))
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, Decimal),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def check(value: Any, schema: Any, place: str = "answer") -> None:
    """Raise AssertionError where the value is not of the schema: the part of JSON schema that the document uses."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        kind = 1 if value is None else 0
        check(value, schema["anyOf"][kind], place)
        return
    known = {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "description",
        "items",
        "enum",
        "const",
    }
    known |= {"format", "minimum", "maximum", "minLength", "maxLength", "maxProperties"}
    assert set(schema) <= known, place
    assert isinstance(value, _TYPES[schema["type"]]), f"{place}: {value!r}"
    if schema["type"] in {"integer", "number"}:
        assert not isinstance(value, bool), place
        assert value >= schema.get("minimum", value), place
        assert value <= schema.get("maximum", value), place
    if "enum" in schema:
        assert value in schema["enum"], place
    if "const" in schema:
        assert value == schema["const"], place
    if schema.get("format") == "date-time":
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", value), place
    if schema["type"] == "array":
        for number, item in enumerate(value):
            check(item, schema["items"], f"{place}[{number}]")
    if schema["type"] == "object":
        fields = schema.get("properties", {})
        assert set(schema.get("required", ())) <= set(value), place
        more = schema.get("additionalProperties", True)
        if more is False:
            assert set(value) <= set(fields), place
        for name, item in value.items():
            if name in fields:
                check(item, fields[name], f"{place}.{name}")
            elif isinstance(more, dict):
                check(item, more, f"{place}.{name}")


def answer_of(method: str, path: str, answer: Any) -> None:
    """Check an answer against what the document says of the call."""
    said = DOCUMENT["paths"][path][method.lower()]["responses"]
    assert str(answer.status_code) in said, f"{method} {path} answers {answer.status_code}"
    content = said[str(answer.status_code)].get("content")
    if content is None:
        assert answer.content == b""
        return
    (kind,) = content
    assert answer.headers["content-type"].partition(";")[0] == kind
    if kind == "application/json":
        check(exact(answer), content[kind]["schema"], f"{method} {path}")


def test_every_route_of_the_api_is_in_the_document_and_no_other(service: Service) -> None:
    served = {
        (method, route.path)
        for route in service.app.routes
        if isinstance(route, Route) and re.match(r"/(api/|healthz|metrics)", route.path)
        for method in route.methods or ()
        if method != "HEAD"
    }
    described = {
        (method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations
    }
    assert served == described


def test_what_the_document_calls_open_is_open_and_nothing_else(stranger: TestClient) -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            answer = stranger.request(method, path.replace("{id}", "x"))
            assert (answer.status_code == 401) is bool(operation["security"]), f"{method} {path}"
            if operation["security"]:
                answer_of(method, path, answer)


def test_the_document_knows_who_is_turned_away_and_what_a_bug_answers(tmp_path: Path) -> None:
    service = Service(tmp_path, {"admin_password": None})
    every = [
        (method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations
    ]
    with service.client(base_url="http://evil.example") as stranger:
        for method, path in every:
            answer = stranger.request(method, path.replace("{id}", "x"))
            assert answer.status_code == 403, f"{method} {path}"
            answer_of(method, path, answer)
        service.app.state.parts.auth.check = None  # What a bug would look like.
    with service.client() as client:
        answer = client.post("/api/auth/login", json={"username": "admin", "password": "changeme"})
        assert answer.status_code == 500
        answer_of("POST", "/api/auth/login", answer)


def test_the_document_is_served_and_stands_on_its_own(stranger: TestClient) -> None:
    served = stranger.get("/api/openapi.json").json()
    assert served == DOCUMENT
    names = set(served["components"]["schemas"])
    used = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(served)))
    assert used == names
    operations = [one for path in served["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)


def test_every_answer_is_of_its_schema(service: Service, stranger: TestClient) -> None:
    login = "/api/auth/login"
    answer_of("POST", login, stranger.post(login, json={"username": "admin", "password": "x"}))
    answer_of("POST", login, stranger.post(login, json={"username": "admin", "password": PASSWORD}))
    answer_of("POST", login, stranger.post(login, json={}))
    answer_of("POST", login, stranger.post(login, content="{"))
    answer_of("POST", login, stranger.post(login, headers={"origin": "https://evil.example"}))
    answer_of("GET", "/healthz", stranger.get("/healthz"))
    answer_of("GET", "/api/openapi.json", stranger.get("/api/openapi.json"))

    admin = signed_in(stranger)
    limiter = create(admin, "1.5", model_map={"deployment": "gpt-4o"})
    service.spend(limiter["id"])
    service.hold(limiter["id"])
    service.release(limiter["id"])
    other = create(admin, name="Unused")
    path, one = f"/api/limiters/{limiter['id']}", "/api/limiters/{id}"
    body = {"name": "A", "budget_limit": 1, "period_type": "day"}
    answer_of("POST", "/api/limiters", admin.post("/api/limiters", json=body))
    answer_of("POST", "/api/limiters", admin.post("/api/limiters", json={}))
    answer_of("POST", "/api/limiters", admin.post("/api/limiters", content=b" " * 1_100_000))
    answer_of("GET", "/api/limiters", admin.get("/api/limiters"))
    answer_of("GET", one, admin.get(path))
    answer_of("GET", one, admin.get(f"{path}x"))
    answer_of("PUT", one, admin.put(path, json={"is_active": False}))
    answer_of("PUT", one, admin.put(path, json={"is_active": 0}))
    answer_of("POST", f"{one}/rotate-code", admin.post(f"{path}/rotate-code"))
    answer_of("GET", f"{one}/stats", admin.get(f"{path}/stats"))
    answer_of("GET", f"{one}/usage", admin.get(f"{path}/usage?limit=2"))
    answer_of("GET", f"{one}/usage", admin.get(f"{path}/usage?limit=0"))
    answer_of("GET", "/api/stats", admin.get("/api/stats"))
    answer_of("GET", "/api/stats", admin.get("/api/stats?from=x"))
    answer_of("GET", "/metrics", admin.get("/metrics"))
    answer_of("DELETE", one, admin.delete(f"/api/limiters/{other['id']}"))
    answer_of("DELETE", one, admin.delete(f"/api/limiters/{other['id']}"))
    for _ in range(5):
        admin.post(login, json={"username": "admin", "password": "x"})
    answer_of("POST", login, admin.post(login, json={"username": "admin", "password": "x"}))

    service.settings.database_path.rename(service.folder / "elsewhere.db")
    answer_of("GET", "/api/limiters", admin.get("/api/limiters"))
    answer_of("GET", f"{one}/stats", admin.get(f"{path}/stats"))
    answer_of("GET", "/healthz", admin.get("/healthz"))
    answer_of("GET", "/metrics", admin.get("/metrics"))


def test_the_settable_fields_are_those_of_the_core(service: Service) -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["LimiterChanges"]["properties"]) == set(SETTABLE)
    assert set(schemas["Limiter"]["properties"]) == {*SETTABLE, *READ_ONLY}
    values: dict[str, object] = {
        "name": "A",
        "budget_limit": 1,
        "period_type": "day",
        "base_url": "https://example.com",
        "enforcement": "soft",
        "unpriced": "reject",
        "model_map": {},
    }
    assert read_fields({name: values.get(name, True) for name in SETTABLE})


@pytest.mark.parametrize("parameter", ["limit", "before"])
def test_the_parameters_in_the_document_are_those_that_are_taken(admin: TestClient, parameter: str) -> None:
    said = {one["name"]: one for one in DOCUMENT["paths"]["/api/limiters/{id}/usage"]["get"]["parameters"]}
    limiter = create(admin)
    assert parameter in said
    edges = [said[parameter]["schema"].get(edge) for edge in ("minimum", "maximum")]
    for edge, step in zip(edges, (-1, 1), strict=True):
        if edge is not None:
            path = f"/api/limiters/{limiter['id']}/usage?{parameter}="
            assert admin.get(f"{path}{edge}").status_code == 200
            assert admin.get(f"{path}{edge + step}").status_code == 422


def test_the_examples_for_people_are_of_the_same_shapes() -> None:
    text = (ROOT / "docs" / "API.md").read_text()
    examples = [
        json.loads(block, parse_float=Decimal) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    ]
    shapes = ("Error", "Token", "Limiter", "LimiterStats", "Calls", "Stats")
    assert len(examples) == len(shapes)
    for example, shape in zip(examples, shapes, strict=True):
        check(example, {"$ref": f"#/components/schemas/{shape}"}, shape)
    for path, operations in DOCUMENT["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {path}" in text


def test_every_code_of_an_error_stands_in_the_document_for_people() -> None:
    text = (ROOT / "docs" / "API.md").read_text()
    sources = "".join(file.read_text() for file in (ROOT / "stats_service").glob("*.py"))
    codes = set(re.findall(r'(?:error|ApiError)\(\s*(?:status, \*_WORDS|\d{3}),\s*"(\w+)"', sources))
    assert {"invalid_field", "unauthorized", "body_too_large", "database_unavailable"} <= codes
    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []
