"""What a call is priced at before it leaves, without asking whether there is money."""

import pytest

from addons.refusals import Refusal
from addons.terms import Terms, asked_model, clamped_output, output_limit_field, terms_of
from metering.asks import Ask, Family
from metering.estimates import Learned
from metering.limiters import Limiter
from metering.periods import Period
from metering.pricing import PriceBook
from tests.addons.proxy import PRICES

BOOK = PriceBook.load(PRICES)


def limiter(**fields: object) -> Limiter:
    given: dict[str, object] = {
        "key": 1,
        "id": "id",
        "code": "code",
        "name": "A",
        "budget_nanousd": 1,
        "period": Period.DAY,
        "base_url": "https://api.openai.com",
        "is_active": True,
        "enforcement": "soft",
        "unpriced": "reject",
        "allow_unmetered": False,
        "hide_amounts": False,
        "model_map": {},
        "created_at_us": 0,
        "updated_at_us": 0,
        "deleted_at_us": None,
        "version": 1,
    }
    return Limiter(**(given | fields))  # type: ignore[arg-type]


def ask(**fields: object) -> Ask:
    given: dict[str, object] = {"family": Family.CHAT, "model": "plain", "body_bytes": 100}
    return Ask(**(given | fields))  # type: ignore[arg-type]


def terms(tenant: Limiter, call: Ask, model: str = "plain", learned: Learned | None = None) -> Terms:
    found = terms_of(tenant, call, model, BOOK, learned, 0)
    assert isinstance(found, Terms)
    return found


def test_soft_holds_what_is_expected() -> None:
    found = terms(limiter(), ask())

    assert found.mode == "soft"
    assert found.hold_nanousd == 25 * 10_000 + 512 * 20_000


def test_what_was_learned_is_expected_the_next_time() -> None:
    found = terms(limiter(), ask(), learned=Learned(output_tokens=10, input_ratio_ppm=500_000))

    assert found.hold_nanousd == 50 * 10_000 + 10 * 20_000


def test_strict_holds_the_bound_and_says_the_least_that_makes_sense() -> None:
    found = terms(limiter(enforcement="strict"), ask(output_limit=1_000, output_limit_field="max_tokens"))

    assert found.mode == "strict"
    assert found.bound is not None
    assert found.hold_nanousd == found.bound.nanousd
    assert found.at_least_nanousd == found.bound.input_nanousd + 16 * 20_000


def test_a_free_model_is_free_in_every_mode() -> None:
    for enforcement in ("soft", "strict", "observe"):
        found = terms(limiter(enforcement=enforcement), ask(), "gift")
        assert (found.mode, found.hold_nanousd) == ("free", 0)


def test_the_map_of_a_limiter_goes_before_the_price_book() -> None:
    found = terms(limiter(model_map={"gift": "plain"}), ask(), "gift")

    assert (found.model, found.mode) == ("plain", "soft")


def test_a_model_without_a_price_is_refused_or_charged_at_the_fallback() -> None:
    refused = terms_of(limiter(), ask(), "unheard-of", BOOK, None, 0)
    charged = terms(limiter(unpriced="fallback"), ask(), "unheard-of")

    assert isinstance(refused, Refusal)
    assert refused.code == "model_not_priced"
    assert charged.hold_nanousd > 512 * 180_000


def test_the_path_goes_before_the_body_and_the_body_before_the_default() -> None:
    assert asked_model(ask(), "deployment") == "deployment"
    assert asked_model(ask(), None) == "plain"
    assert asked_model(ask(model=None), None) is None
    assert asked_model(ask(model=None, family=Family.IMAGE_VARIATION), None) == "dall-e-2"


def test_a_clamped_limit_is_what_the_hold_pays_for_and_never_more_than_was_declared() -> None:
    bound = terms(limiter(enforcement="strict"), ask(output_limit=1_000)).bound
    assert bound is not None

    paid = bound.input_nanousd + 100 * 20_000

    assert clamped_output(bound, paid, None) == 100
    assert clamped_output(bound, paid + 19_999, None) == 100
    assert clamped_output(bound, paid, 50) == 50
    assert clamped_output(bound, bound.input_nanousd - 1, None) == 0


@pytest.mark.parametrize(
    ("call", "host", "field"),
    [
        (ask(output_limit_field="max_tokens"), "api.openai.com", "max_tokens"),
        (ask(), "api.openai.com", "max_completion_tokens"),
        (ask(), "openai.com.example", "max_tokens"),
        (ask(), "openrouter.ai", "max_tokens"),
        (ask(family=Family.RESPONSES), "openrouter.ai", "max_output_tokens"),
        (ask(family=Family.MESSAGES), "api.anthropic.com", "max_tokens"),
    ],
)
def test_the_output_limit_is_the_field_that_the_upstream_understands(
    call: Ask, host: str, field: str
) -> None:
    assert output_limit_field(call, host, is_azure=False) == field


def test_azure_understands_the_field_of_openai() -> None:
    assert output_limit_field(ask(), "res.openai.azure.com", is_azure=True) == "max_completion_tokens"
