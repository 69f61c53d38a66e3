"""Limiters and their fields."""

from contextlib import closing
from decimal import Decimal

import pytest

from metering.errors import FieldError, LimiterNotFound
from metering.limiters import Limiter, Limiters, by_code
from metering.money import NANO
from metering.periods import Period
from tests.metering.books import Books


def look_up(books: Books, code: str) -> Limiter | None:
    with closing(books.database.open_reader()) as connection:
        return by_code(connection, code)


def test_a_new_limiter_has_the_defaults_and_a_code_of_its_own(books: Books) -> None:
    limiter = books.limiters.create(name=" Customer A ", budget_limit=Decimal("20.5"), period_type="day")
    assert limiter.name == "Customer A"
    assert limiter.budget_nanousd == 20_500_000_000
    assert limiter.period is Period.DAY
    assert limiter.base_url == "https://api.openai.com"
    assert (limiter.is_active, limiter.enforcement, limiter.unpriced) == (True, "soft", "reject")
    assert (limiter.allow_unmetered, limiter.hide_amounts, dict(limiter.model_map)) == (False, False, {})
    assert (limiter.created_at_us, limiter.updated_at_us, limiter.deleted_at_us) == (
        books.now_us,
        books.now_us,
        None,
    )
    assert len(limiter.code) == 26
    assert set(limiter.code) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert books.limiters.get(limiter.id) == limiter
    assert look_up(books, limiter.code) == limiter
    assert books.limiters.list() == [limiter]


@pytest.mark.parametrize(
    "code", ["", "a" * 26, "A" * 26, "a" * 25 + "\n", "'; drop table limiters; --", "é" * 26]
)
def test_an_unknown_code_finds_nothing(books: Books, code: str) -> None:
    books.limiter()
    assert look_up(books, code) is None


def test_a_change_raises_the_version_and_no_change_does_not(books: Books) -> None:
    limiter = books.limiters.create(name="A", budget_limit=1, period_type="day")
    books.now_us += 1_000_000
    same = books.limiters.update(limiter.id, name="A", budget_limit=1)
    assert same == limiter
    changed = books.limiters.update(
        limiter.id,
        budget_limit=Decimal("2.5"),
        is_active=False,
        enforcement="strict",
        unpriced="fallback",
        allow_unmetered=True,
        hide_amounts=True,
        model_map={"my-deployment": "gpt-4o"},
        base_url="https://example.openai.azure.com/",
    )
    assert changed.version == limiter.version + 1
    assert changed.updated_at_us == books.now_us
    assert changed.budget_nanousd == 2_500_000_000
    assert (changed.is_active, changed.enforcement, changed.unpriced) == (False, "strict", "fallback")
    assert (changed.allow_unmetered, changed.hide_amounts) == (True, True)
    assert changed.model_map == {"my-deployment": "gpt-4o"}
    assert changed.base_url == "https://example.openai.azure.com"


def test_a_rotated_code_is_refused_from_then_on_and_stays_reserved(books: Books) -> None:
    limiter = books.limiter()
    rotated = books.limiters.rotate_code(limiter.id)
    assert rotated.code != limiter.code
    assert rotated.version == limiter.version + 1
    assert look_up(books, limiter.code) is None
    assert look_up(books, rotated.code) == rotated
    assert {code for (code,) in books.rows("select code from codes")} == {limiter.code, rotated.code}


def test_a_deleted_limiter_is_gone_for_everybody_but_its_history_stays(books: Books) -> None:
    limiter = books.limiter()
    books.spend(limiter, 10)
    books.limiters.delete(limiter.id)
    assert books.limiters.list() == []
    assert look_up(books, limiter.code) is None
    for refused in (
        lambda: books.limiters.get(limiter.id),
        lambda: books.limiters.update(limiter.id, name="B"),
        lambda: books.limiters.rotate_code(limiter.id),
        lambda: books.limiters.delete(limiter.id),
    ):
        with pytest.raises(LimiterNotFound):
            refused()
    assert books.rows("select code from codes") == [(limiter.code,)]
    assert books.rows("select count(*) from requests") == [(1,)]


def test_a_call_in_flight_settles_after_its_limiter_was_deleted(books: Books) -> None:
    limiter = books.limiter()
    held = books.admit(limiter, 10)
    books.limiters.delete(limiter.id)
    books.settle(held.request_id, 8)
    assert books.figures(limiter)[:2] == (8, 0)


def test_the_list_can_be_searched_by_a_part_of_the_name(books: Books) -> None:
    for name in ("Ärzte Nord", "Customer B", "customer a"):
        books.limiters.create(name=name, budget_limit=1, period_type="day")
    assert [limiter.name for limiter in books.limiters.list("CUSTOMER")] == ["Customer B", "customer a"]
    assert [limiter.name for limiter in books.limiters.list("ärzte")] == ["Ärzte Nord"]
    assert len(books.limiters.list("  ")) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "   "), ("name", "x" * 201), ("name", 5), ("name", None), ("name", "a\nb"), ("name", "\ud800"),
        ("budget_limit", -1), ("budget_limit", "20"), ("budget_limit", True), ("budget_limit", None), ("budget_limit", 1.5),
        ("budget_limit", Decimal("NaN")), ("budget_limit", Decimal("0.0000000001")), ("budget_limit", Decimal("1000000000.000000001")),
        ("budget_limit", Decimal("1e400000000")),
        ("period_type", "fortnight"), ("period_type", "Day"), ("period_type", 1), ("period_type", None),
        ("is_active", 1), ("is_active", "true"), ("is_active", None),
        ("enforcement", "hard"), ("unpriced", "free"), ("allow_unmetered", 0), ("hide_amounts", None),
        ("model_map", []), ("model_map", {"a": 1}), ("model_map", {"": "b"}), ("model_map", {"a": "x" * 201}),
        ("model_map", {str(number): "m" for number in range(1_001)}), ("model_map", {"a": "b\u0000"}),
        ("code", "abc"), ("id", "x"), ("budget_nanousd", 1), ("surprise", 1),
        ("base_url", "ftp://example.com"), ("base_url", "example.com"), ("base_url", ""), ("base_url", None),
        ("base_url", "https://"), ("base_url", "https://user:secret@example.com"), ("base_url", "https://@example.com"),
        ("base_url", "https://example.com/?a=b"), ("base_url", "https://example.com/?"), ("base_url", "https://example.com/#x"),
        ("base_url", "https://exam ple.com"), ("base_url", "https://example.com\\@evil.example"), ("base_url", "https://exämple.com"),
        ("base_url", "https://example.com:99999"), ("base_url", "https://example.com:0"), ("base_url", "https://example.com:x"),
        ("base_url", "https://example.com/a/../b"), ("base_url", "https://example.com//a"), ("base_url", "https://[::1"),
        ("base_url", "https://a..b"), ("base_url", "https://a%20b"), ("base_url", "https://example.com/\x01"),
        ("base_url", "https://" + "a" * 2_050),
        ("base_url", "http://169.254.169.254"), ("base_url", "http://169.254.169.254/latest"), ("base_url", "http://2852039166"),
        ("base_url", "http://0xa9fea9fe"), ("base_url", "http://169.254.43518"), ("base_url", "http://[fe80::1]"),
        ("base_url", "http://[::ffff:169.254.169.254]"), ("base_url", "http://[fe80::1%25eth0]"), ("base_url", "http://224.0.0.1"),
        ("base_url", "http://169.254.169.254."), ("base_url", "http://[::169.254.169.254]"), ("base_url", "http://[2002:a9fe:a9fe::1]"),
        ("base_url", "http://[64:ff9b::a9fe:a9fe]"), ("base_url", "http://[64:ff9b:1:2::a9fe:a9fe]"), ("name", "\u202eevil"),
    ],
)  # fmt: skip
def test_a_field_that_is_not_acceptable_is_refused_by_its_name(
    books: Books, field: str, value: object
) -> None:
    fields = {"name": "A", "budget_limit": 1, "period_type": "day"} | {field: value}
    with pytest.raises(FieldError) as refusal:
        books.limiters.create(**fields)
    assert refusal.value.field == field
    limiter = books.limiter()
    with pytest.raises(FieldError):
        books.limiters.update(
            limiter.id, name="B", **({field: value} if field != "name" else {"surprise": 1})
        )
    assert books.limiters.get(limiter.id) == limiter


@pytest.mark.parametrize("name", ["مي\u200cخواهم", "👩\u200d💻 team", "支払い", "ع" * 200])
def test_a_name_may_be_of_any_script(books: Books, name: str) -> None:
    assert books.limiters.create(name=name, budget_limit=1, period_type="day").name == name


@pytest.mark.parametrize("field", ["name", "budget_limit", "period_type"])
def test_the_fields_without_a_default_are_required(books: Books, field: str) -> None:
    fields: dict[str, object] = {"name": "A", "budget_limit": 1, "period_type": "day"}
    del fields[field]
    with pytest.raises(FieldError, match=f"{field} is required"):
        books.limiters.create(**fields)


@pytest.mark.parametrize(("budget", "nanousd"), [(0, 0), (1_000_000_000, 10**18), (Decimal("0.000000001"), 1), (Decimal("2E1"), 20 * NANO)])  # fmt: skip
def test_a_budget_is_from_nothing_to_a_billion(books: Books, budget: Decimal | int, nanousd: int) -> None:
    limiter = books.limiters.create(name="A", budget_limit=budget, period_type="year")
    assert limiter.budget_nanousd == nanousd


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://api.openai.com/", "https://api.openai.com"),
        ("https://openrouter.ai/api/v1/", "https://openrouter.ai/api/v1"),
        ("HTTPS://API.OpenAI.com", "https://api.openai.com"),
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("http://[::1]:11434/v1", "http://[::1]:11434/v1"),
        ("http://my_model.internal:8080", "http://my_model.internal:8080"),
    ],
)
def test_an_upstream_address_is_stored_without_a_slash_at_its_end(
    books: Books, given: str, stored: str
) -> None:
    assert (
        books.limiters.create(name="A", budget_limit=1, period_type="day", base_url=given).base_url == stored
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000", "http://127.0.0.1:8000/v1", "http://127.9.9.9:8000", "http://[::1]:8000", "http://0.0.0.0:8000",
        "http://0:8000", "http://2130706433:8000", "http://[::ffff:127.0.0.1]:8000", "http://localhost.:8000",
        "http://127.0.0.1.:8000", "http://any.localhost:8000", "http://[::127.0.0.1]:8000", "https://proxy.example.com.",
        "https://proxy.example.com", "https://PROXY.example.com:443/v1",
    ],
)  # fmt: skip
def test_the_programs_own_addresses_are_refused_in_every_spelling(books: Books, url: str) -> None:
    limiters = Limiters(
        books.database, books.clock, own_addresses=[("0.0.0.0", 8000), ("proxy.example.com", 443)]
    )
    with pytest.raises(FieldError, match="own address"):
        limiters.create(name="A", budget_limit=1, period_type="day", base_url=url)


def test_a_neighbour_of_the_programs_own_address_is_fine(books: Books) -> None:
    limiters = Limiters(
        books.database,
        books.clock,
        own_addresses=[("127.0.0.1", 8000)],
        default_base_url="http://localhost:8001",
    )
    assert limiters.create(name="A", budget_limit=1, period_type="day").base_url == "http://localhost:8001"
    limiters.create(name="B", budget_limit=1, period_type="day", base_url="http://192.168.1.5:8000")
