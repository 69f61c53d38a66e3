"""The shapes of the API's bodies, as JSON schema. Every object here has exactly these fields."""

from collections.abc import Mapping

from metering.limiter_fields import ENFORCEMENTS, MAP_ENTRIES_MAX, NAME_MAX, UNPRICED
from metering.periods import Period
from stats_service.json_text import Json

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer", "minimum": 0}
FLAG: Json = {"type": "boolean"}
TIME: Json = {"type": "string", "format": "date-time"}
DOLLARS: Json = {
    "type": "number",
    "minimum": 0,
    "description": "Dollars, exact to 9 decimal places. Read it as a decimal, not as a float.",
}


def closed(properties: Mapping[str, Json], optional: tuple[str, ...] = (), **more: Json) -> Json:
    """An object with these fields and no others."""
    required: Json = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
        **more,
    }


def described(schema: Json, text: str) -> Json:
    """The same with a sentence about it."""
    return {**schema, "description": text} if isinstance(schema, dict) else schema


def of_list(name: str) -> Json:
    """An array of a named shape."""
    return {"type": "array", "items": named(name)}


def named(name: str) -> Json:
    """A shape of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _or_none(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _choice(values: tuple[str, ...], text: str) -> Json:
    return {"type": "string", "enum": list(values), "description": text}


_SETTABLE: dict[str, Json] = {
    "name": {"type": "string", "minLength": 1, "maxLength": NAME_MAX},
    "budget_limit": {
        "type": "number",
        "minimum": 0,
        "maximum": 1_000_000_000,
        "description": "Dollars for each period, at most 9 decimal places; 0 lets nothing pass that costs.",
    },
    "period_type": _choice(
        tuple(period.value for period in Period), "How often the budget starts anew, in UTC."
    ),
    "base_url": described(
        {"type": "string", "format": "uri"}, "The API that calls go to. Default: OPENAI_API_BASE_URL."
    ),
    "is_active": described(FLAG, "False refuses all calls. Default: true."),
    "enforcement": _choice(ENFORCEMENTS, "What happens at the budget. Default: soft."),
    "unpriced": _choice(UNPRICED, "What happens to a model without a price. Default: reject."),
    "allow_unmetered": described(FLAG, "Lets endpoints pass that cannot be metered. Default: false."),
    "hide_amounts": described(FLAG, "Keeps amounts from the clients of the limiter. Default: false."),
    "model_map": {
        "type": "object",
        "additionalProperties": TEXT,
        "maxProperties": MAP_ENTRIES_MAX,
        "description": "Azure deployment to model. Default: empty.",
    },
}
_SUMS: dict[str, Json] = {
    "total_requests": WHOLE,
    "prompt_tokens": WHOLE,
    "completion_tokens": WHOLE,
    "total_tokens": WHOLE,
    "total_cost": DOLLARS,
}
_WHOSE: dict[str, Json] = {"limiter_id": TEXT, "limiter_name": TEXT, "limiter_deleted": FLAG}

SCHEMAS: dict[str, Json] = {
    "Login": closed({"username": TEXT, "password": {"type": "string", "format": "password"}}),
    "Token": closed({"token": TEXT, "username": TEXT}),
    "NewLimiter": closed(
        _SETTABLE, tuple(name for name in _SETTABLE if name not in {"name", "budget_limit", "period_type"})
    ),
    "LimiterChanges": closed(_SETTABLE, tuple(_SETTABLE)),
    "Limiter": closed(
        {
            "id": {"type": "string", "format": "uuid"},
            "code": described(TEXT, "The key in the limiter's address: whoever has it can spend the budget."),
            "proxy_url": described(TEXT, "The base_url of an SDK."),
            **_SETTABLE,
            "created_at": TIME,
            "updated_at": TIME,
        }
    ),
    "LimiterStats": closed(
        {
            "limiter_id": TEXT,
            "limiter_name": TEXT,
            "current_spend": described(DOLLARS, "Charged in the current window."),
            "held": described(DOLLARS, "Set aside for calls in flight."),
            "budget_limit": DOLLARS,
            "remaining_budget": described(DOLLARS, "Budget less spend and held, at least 0."),
            "usage_percentage": described(
                {"type": "number", "minimum": 0}, "Spend and held in percent of the budget, 4 decimal places."
            ),
            "total_requests": described(WHOLE, "Calls of the window that were admitted and not released."),
            "period_start": TIME,
            "period_end": TIME,
        }
    ),
    "Call": closed(
        {
            "id": WHOLE,
            "started_at": TIME,
            "finished_at": _or_none(TIME),
            "user": TEXT,
            "model": TEXT,
            "endpoint": TEXT,
            "status": _or_none({"type": "integer"}),
            "streamed": FLAG,
            "state": _choice(("held", "settled", "released", "expired"), "What became of the money held."),
            "prompt_tokens": WHOLE,
            "cached_tokens": described(WHOLE, "Part of the prompt tokens."),
            "completion_tokens": WHOLE,
            "reasoning_tokens": described(WHOLE, "Part of the completion tokens."),
            "total_tokens": WHOLE,
            "cost": described(_or_none(DOLLARS), "Null while the call is in flight."),
            "basis": _or_none(
                _choice(("reported", "estimated", "fallback", "unmetered"), "How the cost is known.")
            ),
        }
    ),
    "Calls": closed(
        {"data": of_list("Call"), "next": described(_or_none(WHOLE), "Pass it as `before` for older calls.")}
    ),
    "Totals": closed(
        {"total_requests": WHOLE, "total_tokens": WHOLE, "total_cost": DOLLARS, "active_users": WHOLE}
    ),
    "UserRow": closed({"user": TEXT, **_WHOSE, **_SUMS, "last_request_at": TIME}),
    "LimiterRow": closed({**_WHOSE, **_SUMS, "last_request_at": _or_none(TIME)}),
    "ModelRow": closed({"model": TEXT, **_SUMS}),
    "SeriesPoint": closed({"start": TIME, "end": TIME, "total_cost": DOLLARS}),
    "Stats": closed(
        {
            "from": described(TIME, "Start of the first day that is counted."),
            "to": described(TIME, "End of the last day, not included."),
            "totals": named("Totals"),
            "users": described(of_list("UserRow"), "Dearest first, cut by `limit` and `offset`."),
            "users_total": described(WHOLE, "How many rows of users there are in all."),
            "limiters": of_list("LimiterRow"),
            "models": of_list("ModelRow"),
            "series": described(of_list("SeriesPoint"), "By hour up to two days, else by day."),
        }
    ),
    "Health": closed({"status": {"type": "string", "const": "ok"}}),
    "Error": closed(
        {"error": closed({"code": TEXT, "message": TEXT, "field": TEXT}, ("field",))},
        description="`field` names the field or parameter that is to blame, if one is.",
    ),
}
