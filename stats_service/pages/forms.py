"""The form of a limiter: what was typed, the fields of the API that it means, and what is wrong with them.

Validation is the core's; this only turns text into the API's types and the core's reasons into sentences with the words
that stand on the page.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from metering.errors import FieldError
from metering.limiters import Limiter
from metering.money import NANO, dollars, parse_dollars
from metering.periods import Period
from stats_service.pages import formats

LABELS = {
    "name": "Name",
    "budget_limit": "Budget",
    "period_type": "Period",
    "base_url": "Upstream address",
    "enforcement": "Enforcement",
    "unpriced": "Models without a price",
    "allow_unmetered": "Endpoints that cannot be metered",
    "hide_amounts": "Hide amounts",
    "model_map": "Azure deployments",
}
ENFORCEMENTS = (
    ("soft", "Soft", "The call that crosses the budget completes; the next one is refused."),
    ("strict", "Strict", "A call is refused when it might not fit. Never over the budget."),
    ("observe", "Observe", "Nothing is refused for its cost; what soft would have refused is marked."),
)
ENFORCEMENT_TEXTS = {value: text[0].lower() + text[1:] for value, _, text in ENFORCEMENTS}
_AMOUNT = re.compile(r"(\d+\.?\d*|\.\d+)\Z", re.ASCII)
_MARKS_MAX = 400
_ADVANCED = ("unpriced", "allow_unmetered", "hide_amounts", "model_map")


@dataclass(frozen=True, slots=True)
class LimiterForm:
    """The values as they are typed, and the reasons that stand beside them."""

    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    limiter_id: str | None = None
    title: str = ""
    marks: str = ""
    """Of the values that the form was opened with, so that only what was changed in it is changed."""

    @property
    def summary(self) -> str:
        """`$20.00 each day, resets at midnight UTC`."""
        try:
            budget = parse_dollars(_budget(self.values["budget_limit"]))
            return formats.summary(budget, Period(self.values["period_type"]))
        except (FieldError, ValueError):
            return "An amount of dollars for each period."

    @property
    def more(self) -> bool:
        """Whether something under `More settings` is not as it comes, or is wrong."""
        return any(self.errors.get(name) for name in _ADVANCED) or bool(
            self.values["unpriced"] == "fallback"
            or self.values["allow_unmetered"]
            or self.values["hide_amounts"]
            or self.values["model_map"]
        )

    def with_error(self, fault: FieldError) -> "LimiterForm":
        """The same form with a reason beside its field, or above all where the field is not on the page."""
        name = fault.field if fault.field in LABELS else ""
        label = LABELS.get(fault.field, fault.field)
        errors = {**self.errors, name: f"{label} {fault.reason}."}
        return replace(self, errors=errors)


def new_form(base_url: str) -> LimiterForm:
    """Sensible defaults: a day, soft, the default upstream."""
    return LimiterForm(
        {
            "name": "",
            "budget_limit": "20.00",
            "period_type": "day",
            "base_url": base_url,
            "enforcement": "soft",
            "unpriced": "reject",
            "allow_unmetered": "",
            "hide_amounts": "",
            "model_map": "",
        }
    )


def form_of(limiter: Limiter) -> LimiterForm:
    """The form that shows a limiter as it is."""
    whole, _, decimals = dollars(limiter.budget_nanousd).partition(".")
    values = {
        "name": limiter.name,
        "budget_limit": f"{whole}.{decimals:0<2}",
        "period_type": limiter.period.value,
        "base_url": limiter.base_url,
        "enforcement": limiter.enforcement,
        "unpriced": limiter.unpriced,
        "allow_unmetered": "true" if limiter.allow_unmetered else "",
        "hide_amounts": "true" if limiter.hide_amounts else "",
        "model_map": "\n".join(f"{deployment} = {model}" for deployment, model in limiter.model_map.items()),
    }
    marks = " ".join(_mark(values[name]) for name in LABELS)
    return LimiterForm(values, limiter_id=limiter.id, title=limiter.name, marks=marks)


def typed_form(typed: Mapping[str, str], limiter: Limiter | None) -> LimiterForm:
    """The form as it came back."""
    values = {name: typed.get(name, "").strip() for name in LABELS}
    if limiter is None:
        return LimiterForm(values)
    return LimiterForm(
        values, limiter_id=limiter.id, title=limiter.name, marks=typed.get("marks", "")[:_MARKS_MAX]
    )


def changes(form: LimiterForm) -> dict[str, object]:
    """The fields of the API that were changed since the form was opened: what others changed meanwhile stays.

    Raises FieldError.
    """
    marks = dict(zip(LABELS, form.marks.split(" "), strict=False))
    return {
        name: value for name, value in read_form(form).items() if marks.get(name) != _mark(form.values[name])
    }


def read_form(form: LimiterForm) -> dict[str, object]:
    """The fields of the API. Raises FieldError for text that no type can be made of."""
    values = form.values
    return {
        "name": values["name"],
        "budget_limit": _budget(values["budget_limit"]),
        "period_type": values["period_type"],
        "base_url": values["base_url"],
        "enforcement": values["enforcement"],
        "unpriced": values["unpriced"],
        "allow_unmetered": values["allow_unmetered"] == "true",
        "hide_amounts": values["hide_amounts"] == "true",
        "model_map": _model_map(values["model_map"]),
    }


def _mark(value: str) -> str:
    # Browsers send the end of a line as two characters.
    return hashlib.sha256("\n".join(value.splitlines()).encode("utf-8", "replace")).hexdigest()[:16]


def _budget(text: str) -> Decimal:
    plain = text.strip().removeprefix("$").strip()
    if not plain:
        raise FieldError("budget_limit", "is required")
    # Beyond this length no amount is acceptable, and Decimal would still multiply it out.
    if not _AMOUNT.match(plain) or len(plain) > len(str(NANO)) * 4:
        raise FieldError("budget_limit", "must be a number of dollars, such as 20 or 0.50")
    return Decimal(plain)


def _model_map(text: str) -> dict[str, str]:
    mapped: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        deployment, sign, model = (part.strip() for part in line.partition("="))
        if not sign or not deployment or not model:
            raise FieldError("model_map", f"must read deployment = model in line {number}")
        if deployment in mapped:
            raise FieldError("model_map", f"names {formats.shortened(deployment, 40)} twice")
        mapped[deployment] = model
    return mapped
