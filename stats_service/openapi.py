"""`GET /api/openapi.json`: the contract. Which calls there are is the routes' table; this adds what they take and answer."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from stats_service import answers
from stats_service.json_text import Json
from stats_service.reading import BODY_MAX_BYTES
from stats_service.schemas import SCHEMAS, named, of_list
from stats_service.services import ServiceParts

_WORDS = {
    400: "The body is not JSON.",
    401: "No valid token, or wrong credentials.",
    403: "The default password is in use and the request came from elsewhere; or a page of another site signs in.",
    404: "There is no such limiter, or it was deleted.",
    408: "The body did not come in time.",
    413: f"The body has more than {BODY_MAX_BYTES} bytes.",
    422: "A field or parameter is not acceptable; the error names it.",
    429: "Too many failed attempts from this address; Retry-After says when to try again.",
    500: "Our fault; the log of the service tells more.",
    503: "The database cannot be used now.",
}
_ANY = (403, 500)
_TAKING = (400, 408, 413, 422)
_DATE: Json = {"type": "string", "examples": ["2026-11-24", "2026-11-24T08:00:00Z"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a call takes and answers. `answer` is a schema, a media type, or None for an answer without a body."""

    summary: str
    answer: Json = None
    status: int = 200
    takes: str | None = None
    errors: tuple[int, ...] = ()
    query: tuple[tuple[str, Json, str], ...] = ()
    is_open: bool = False


def _page(name: str, lowest: int, highest: int | None, default: int, text: str) -> tuple[str, Json, str]:
    schema: dict[str, Json] = {"type": "integer", "minimum": lowest, "default": default}
    return name, schema if highest is None else {**schema, "maximum": highest}, text


CONTRACTS: dict[tuple[str, str], Contract] = {
    ("POST", "/api/auth/login"): Contract(
        summary="Sign in",
        answer=named("Token"),
        takes="Login",
        errors=(401, *_TAKING, 429),
        is_open=True,
    ),
    ("GET", "/api/limiters"): Contract(summary="All limiters, oldest first", answer=of_list("Limiter")),
    ("POST", "/api/limiters"): Contract(
        summary="Create a limiter", answer=named("Limiter"), status=201, takes="NewLimiter", errors=_TAKING
    ),
    ("GET", "/api/limiters/{id}"): Contract(summary="A limiter", answer=named("Limiter"), errors=(404,)),
    ("PUT", "/api/limiters/{id}"): Contract(
        summary="Change some fields of a limiter; in force on the next call",
        answer=named("Limiter"),
        takes="LimiterChanges",
        errors=(*_TAKING, 404),
    ),
    ("DELETE", "/api/limiters/{id}"): Contract(
        summary="Delete a limiter; its history stays", status=204, errors=(404,)
    ),
    ("POST", "/api/limiters/{id}/rotate-code"): Contract(
        summary="Give a limiter a new code; its figures stay", answer=named("Limiter"), errors=(404,)
    ),
    ("GET", "/api/limiters/{id}/stats"): Contract(
        summary="Where the current window stands", answer=named("LimiterStats"), errors=(404,)
    ),
    ("GET", "/api/limiters/{id}/usage"): Contract(
        summary="The calls of a limiter, newest first",
        answer=named("Calls"),
        errors=(404, 422),
        query=(
            _page("limit", 1, 500, 50, "How many calls."),
            ("before", {"type": "integer", "minimum": 1}, "The `next` of the page before."),
        ),
    ),
    ("GET", "/api/stats"): Contract(
        summary="Sums of a range of whole UTC days, the last 30 by default",
        answer=named("Stats"),
        errors=(422,),
        query=(
            ("from", _DATE, "First day, or a time on it."),
            ("to", _DATE, "Last day, included; a time stands for the day that ends at or after it."),
            _page("limit", 0, 10_000, 1_000, "How many rows of users."),
            _page("offset", 0, 10**9, 0, "How many rows of users are left out before them."),
        ),
    ),
    ("GET", "/healthz"): Contract(summary="Liveness", answer=named("Health"), is_open=True),
    ("GET", "/metrics"): Contract(summary="Where all limiters stand, for Prometheus", answer="text/plain"),
    ("GET", "/api/openapi.json"): Contract(summary="This document", answer={"type": "object"}, is_open=True),
}


async def openapi(_: ServiceParts, __: Request) -> Response:
    """The document. Open: it says nothing about this installation."""
    return answers.json(document())


def document() -> Json:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Json]] = {}
    for (method, path), contract in CONTRACTS.items():
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, contract)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GPT Usage Limiter",
            "version": "1",
            "description": "Manages limiters and reads what they spent. Amounts are exact dollars.",
        },
        "paths": {path: dict(operations) for path, operations in paths.items()},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(method: str, path: str, contract: Contract) -> Json:
    errors = {*contract.errors, *_ANY}
    if path != "/api/openapi.json":
        errors.add(503)
    if not contract.is_open:
        errors.add(401)
    answer: dict[str, Json] = {"description": contract.summary}
    if isinstance(contract.answer, str):
        answer["content"] = {contract.answer: {"schema": {"type": "string"}}}
    elif contract.answer is not None:
        answer["content"] = {"application/json": {"schema": contract.answer}}
    responses: dict[str, Json] = {str(contract.status): answer}
    for status in sorted(errors):
        content: Json = {"application/json": {"schema": named("Error")}}
        responses[str(status)] = {"description": _WORDS[status], "content": content}
    operation: dict[str, Json] = {
        "operationId": _name(method, path),
        "summary": contract.summary,
        "security": [] if contract.is_open else [{"token": []}],
        "responses": responses,
    }
    parameters = [_parameter(*one) for one in contract.query]
    if "{id}" in path:
        limiter: Json = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        parameters.insert(0, limiter)
    if parameters:
        operation["parameters"] = parameters
    if contract.takes:
        content = {"application/json": {"schema": named(contract.takes)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(name: str, schema: Json, text: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


def _name(method: str, path: str) -> str:
    words = [word.strip("{}").replace(".", "-") for word in path.removeprefix("/api").split("/") if word]
    return "_".join([method.lower(), *words]).replace("-", "_")
