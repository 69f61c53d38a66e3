"""As much of JSON Schema, draft 7, as the schema of the price book uses; what it does not know is an error."""

import re
from collections.abc import Mapping
from typing import Any

_TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
}


def accepts(root: Mapping[str, Any], value: Any) -> bool:
    """Whether a document is valid."""
    return _fits(root, root, value)


def _fits(root: Mapping[str, Any], schema: Any, value: Any) -> bool:
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        return _fits(root, root["definitions"][schema["$ref"].rpartition("/")[2]], value)
    return all(_holds(root, schema, word, rule, value) for word, rule in schema.items())


def _holds(root: Mapping[str, Any], schema: Mapping[str, Any], word: str, rule: Any, value: Any) -> bool:
    fields = value if isinstance(value, dict) else {}
    items = value if isinstance(value, list) else []
    number = value if _TYPES["number"](value) else None
    match word:
        case "$schema" | "title" | "description" | "definitions":
            return True
        case "type":
            return _TYPES[rule](value)
        case "enum":
            return value in rule
        case "minimum":
            return number is None or number >= rule
        case "maximum":
            return number is None or number <= rule
        case "minLength":
            return not isinstance(value, str) or len(value) >= rule
        case "pattern":
            return not isinstance(value, str) or re.search(rule, value) is not None
        case "minProperties":
            return not isinstance(value, dict) or len(fields) >= rule
        case "minItems":
            return not isinstance(value, list) or len(items) >= rule
        case "uniqueItems":
            return all(item not in items[:at] for at, item in enumerate(items))
        case "required":
            return not isinstance(value, dict) or all(name in fields for name in rule)
        case "dependencies":
            return all(other in fields for name, others in rule.items() if name in fields for other in others)
        case "properties":
            return all(_fits(root, part, fields[name]) for name, part in rule.items() if name in fields)
        case "propertyNames":
            return all(_fits(root, rule, name) for name in fields)
        case "additionalProperties":
            known = schema.get("properties", {})
            return all(_fits(root, rule, part) for name, part in fields.items() if name not in known)
        case "items":
            rules = rule if isinstance(rule, list) else [rule] * len(items)
            return all(_fits(root, part, item) for part, item in zip(rules, items, strict=False))
        case "additionalItems":
            return all(_fits(root, rule, item) for item in items[len(schema["items"]) :])
        case "allOf":
            return all(_fits(root, part, value) for part in rule)
        case "anyOf":
            return any(_fits(root, part, value) for part in rule)
        case "oneOf":
            return sum(_fits(root, part, value) for part in rule) == 1
        case _:
            raise NotImplementedError(word)
