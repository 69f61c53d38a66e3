"""The pages over HTTP, as a browser without JavaScript has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from metering.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_time
from metering.entries import Admission
from metering.errors import LimiterNotFound
from metering.ledger import Ledger
from metering.money import NANO
from metering.pricing import PriceBookFile
from metering.usage import Usage
from tests.stats_service.pages_site import PASSWORD, ROOT, Site

NOON = parse_time("2026-11-24T12:00:00Z")
HOSTILE = "<script>alert(1)</script>\"'&{{70001*3}}"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, now=NOON)


@pytest.fixture
def browser(site: Site) -> Iterator[TestClient]:
    with TestClient(site.app, follow_redirects=False) as client:
        answer = client.post("/login", data={"username": "admin", "password": PASSWORD})
        assert answer.status_code == 303
        yield client


def form_token(browser: TestClient, path: str = "/limiters/new") -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get(path).text)
    assert found
    return found[1]


def send(browser: TestClient, path: str, **fields: str) -> object:
    return browser.post(path, data={"csrf": form_token(browser), **fields})


LIMITER_FORM = {
    "name": "Customer A",
    "budget_limit": "20",
    "period_type": "day",
    "base_url": "https://api.openai.com",
    "enforcement": "soft",
    "unpriced": "reject",
    "model_map": "",
}


# Signing in and out


def test_a_page_without_a_session_leads_to_the_login_and_back(site: Site) -> None:
    with TestClient(site.app, follow_redirects=False) as client:
        answer = client.get("/statistics?range=7d")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login?next=/statistics%3Frange%3D7d"
        answer = client.post(
            "/login", data={"username": "admin", "password": PASSWORD, "next": "/statistics?range=7d"}
        )
        assert answer.headers["location"] == "/statistics?range=7d"


@pytest.mark.parametrize(
    ("referer", "location"),
    [
        ("http://testserver/?q=acme&view=table", "/login?next=/%3Fq%3Dacme%26view%3Dtable"),
        ("http://testserver/limiters/1/edit", "/login?next=/limiters/1/edit"),
        ("http://testserver//evil.example", "/login"),
        ("http://evil.example/limiters", "/login"),
        ("http://[", "/login"),
        ("", "/login"),
    ],
)
def test_a_form_without_a_session_leads_back_to_the_page_that_it_stood_on(
    site: Site, referer: str, location: str
) -> None:
    with TestClient(site.app, follow_redirects=False) as client:
        answer = client.post("/limiters/active", data={"turn": "1 off"}, headers={"referer": referer})
    assert (answer.status_code, answer.headers["location"]) == (303, location)


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/\r\nx: y"],
)
def test_the_login_leads_nowhere_but_to_this_site(site: Site, target: str) -> None:
    with TestClient(site.app, follow_redirects=False) as client:
        answer = client.post("/login", data={"username": "admin", "password": PASSWORD, "next": target})
        assert answer.headers["location"] == "/"


def test_a_wrong_password_is_said_and_the_name_is_kept(site: Site) -> None:
    with TestClient(site.app, follow_redirects=False) as client:
        answer = client.post("/login", data={"username": HOSTILE, "password": "nope"})
        assert answer.status_code == 401
        assert "do not fit together" in answer.text
        assert "&lt;script&gt;alert(1)" in answer.text
        assert "nope" not in answer.text


def test_too_many_attempts_are_said(site: Site) -> None:
    with TestClient(site.app, follow_redirects=False) as client:
        answers = [client.post("/login", data={"username": "admin", "password": "no"}) for _ in range(6)]
        assert answers[-1].status_code == 429
        assert "Too many attempts" in answers[-1].text


def test_signing_out_needs_the_form_of_the_session(browser: TestClient) -> None:
    assert browser.post("/logout", data={"csrf": "made up"}).status_code == 403
    assert browser.get("/").status_code == 200
    assert browser.post("/logout", data={"csrf": form_token(browser)}).headers["location"] == "/login"
    assert browser.get("/").status_code == 303


# Limiters


def test_without_limiters_the_page_leads_to_the_first_call(browser: TestClient) -> None:
    page = browser.get("/").text
    assert "Create your first limiter" in page
    assert 'href="/limiters/new"' in page


def test_a_limiter_is_created_and_its_address_comes_next(browser: TestClient, site: Site) -> None:
    answer = send(browser, "/limiters/new", **LIMITER_FORM | {"model_map": "our-gpt = gpt-4o\n"})
    limiter = site.limiters.list()[0]
    assert answer.headers["location"] == f"/limiters/{limiter.id}/connect"
    assert limiter.model_map == {"our-gpt": "gpt-4o"}
    page = browser.get(answer.headers["location"]).text
    assert f"http://localhost:8000/v1/{limiter.code}" in page
    assert "“Customer A” was created." in page
    assert "was created" not in browser.get("/").text


@pytest.mark.parametrize(
    ("field", "typed", "reason"),
    [
        ("name", "", "Name must have 1 to 200 characters."),
        ("budget_limit", "", "Budget is required."),
        ("budget_limit", "a lot", "Budget must be a number of dollars, such as 20 or 0.50."),
        ("budget_limit", "-1", "Budget must be a number of dollars, such as 20 or 0.50."),
        ("budget_limit", "1e3", "Budget must be a number of dollars, such as 20 or 0.50."),
        ("budget_limit", "0.0000000001", "Budget has more than 9 decimal places."),
        ("budget_limit", "1000000001", "Budget must be from 0 to 1000000000 dollars."),
        ("base_url", "ftp://x", "Upstream address must start with http:// or https:// and name a host."),
        ("model_map", "a = b\nnonsense", "Azure deployments must read deployment = model in line 2."),
        ("model_map", "a = b\na = c", "Azure deployments names a twice."),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    browser: TestClient, site: Site, field: str, typed: str, reason: str
) -> None:
    answer = send(browser, "/limiters/new", **LIMITER_FORM | {"name": "Kept name", field: typed})
    assert answer.status_code == 422
    assert re.search(rf'id="e-{field}">{re.escape(reason)}<', answer.text)
    assert f'aria-describedby="e-{field}" aria-invalid="true"' in answer.text
    assert field == "name" or "Kept name" in answer.text
    assert site.limiters.list() == []


def test_a_form_without_the_token_of_the_session_changes_nothing(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    for path in (
        "/limiters/new",
        "/limiters/active",
        f"/limiters/{limiter.id}/edit",
        f"/limiters/{limiter.id}/delete",
        f"/limiters/{limiter.id}/rotate-code",
    ):
        for token in ({}, {"csrf": ""}, {"csrf": "made up"}):
            answer = browser.post(
                path, data={**LIMITER_FORM, "turn": f"{limiter.id} off", "confirm": "Acme", **token}
            )
            assert answer.status_code == 403, path
            assert "This form has expired" in answer.text
    assert site.limiters.list() == [limiter]


def test_a_form_that_is_too_large_is_refused(browser: TestClient) -> None:
    answer = send(browser, "/limiters/new", **LIMITER_FORM | {"name": "x" * 300_000})
    assert answer.status_code == 413


def test_an_edit_is_confirmed_where_it_was_made(browser: TestClient, site: Site) -> None:
    limiter = site.create("Acme", "0.000000001")
    page = browser.get(f"/limiters/{limiter.id}/edit").text
    assert 'value="0.000000001"' in page
    answer = send(
        browser,
        f"/limiters/{limiter.id}/edit",
        **LIMITER_FORM | {"name": "Acme 2", "budget_limit": "$1204.5", "back": "/?q=ac"},
    )
    assert answer.headers["location"] == "/?q=ac"
    assert site.limiters.get(limiter.id).budget_nanousd == 1_204_500_000_000
    assert "“Acme 2” was saved." in browser.get("/?q=ac").text


def test_an_edit_keeps_what_others_changed_since_the_form_was_opened(browser: TestClient, site: Site) -> None:
    limiter = site.create("Acme", "20", model_map={"a": "gpt-4o", "b": "o3"})
    page = browser.get(f"/limiters/{limiter.id}/edit").text
    marks = re.search(r'name="marks" value="([^"]+)"', page)
    assert marks
    site.limiters.update(limiter.id, budget_limit=5, model_map={"c": "gpt-4o"}, is_active=False)
    typed = {"name": "Acme 2", "budget_limit": "20.00", "model_map": "a = gpt-4o\r\nb = o3"}
    send(browser, f"/limiters/{limiter.id}/edit", **LIMITER_FORM | typed | {"marks": marks[1]})
    after = site.limiters.get(limiter.id)
    assert (after.name, after.budget_nanousd, after.is_active) == ("Acme 2", 5 * NANO, False)
    assert after.model_map == {"c": "gpt-4o"}


def test_a_form_that_is_corrected_changes_what_was_typed_first(browser: TestClient, site: Site) -> None:
    limiter = site.create("Acme", "20")
    path = f"/limiters/{limiter.id}/edit"
    pattern = r'name="marks" value="([^"]+)"'
    marks = re.search(pattern, browser.get(path).text)
    assert marks
    wrong = LIMITER_FORM | {"name": "Acme 2", "budget_limit": "x", "marks": marks[1]}
    again = re.search(pattern, send(browser, path, **wrong).text)  # type: ignore[attr-defined]
    assert again
    send(browser, path, **wrong | {"budget_limit": "7", "marks": again[1]})
    after = site.limiters.get(limiter.id)
    assert (after.name, after.budget_nanousd) == ("Acme 2", 7 * NANO)


def test_a_switch_turns_one_limiter_off_and_on(browser: TestClient, site: Site) -> None:
    one, other = site.create("One"), site.create("Other")
    send(browser, "/limiters/active", turn=f"{one.id} off")
    assert [limiter.is_active for limiter in site.limiters.list()] == [False, True]
    assert "Inactive" in browser.get("/").text
    send(browser, "/limiters/active", turn=f"{one.id} on")
    assert site.limiters.get(one.id).is_active
    assert site.limiters.get(other.id).version == 1


def test_deleting_asks_for_the_name(browser: TestClient, site: Site) -> None:
    limiter = site.create("Precious")
    answer = send(browser, f"/limiters/{limiter.id}/delete", confirm="precious")
    assert answer.status_code == 422
    assert "This is not the name of the limiter." in answer.text
    answer = send(
        browser, f"/limiters/{limiter.id}/delete", confirm=" Precious ", back=f"/limiters/{limiter.id}"
    )
    assert answer.headers["location"] == "/"
    with pytest.raises(LimiterNotFound):
        site.limiters.get(limiter.id)


def test_a_new_code_is_shown_at_once(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    answer = send(browser, f"/limiters/{limiter.id}/rotate-code")
    page = browser.get(answer.headers["location"]).text
    assert limiter.code not in page
    assert site.limiters.get(limiter.id).code in page


def test_a_card_shows_what_is_enforced(browser: TestClient, site: Site) -> None:
    limiter = site.create("Acme", "20")
    site.spend(limiter, 15 * NANO)
    site.hold(limiter, 2 * NANO)
    page = browser.get("/").text
    for text in ("$15.00", "$2.00", "$3.00", "85%", "Near its budget", "Resets in", "12 h"):
        assert text in page, text
    site.spend(limiter, 4 * NANO)
    page = browser.get("/").text
    assert "105%" in page
    assert "Used up" in page


def test_yesterdays_spend_is_not_todays(browser: TestClient, site: Site) -> None:
    limiter = site.create("Acme", "20", "day")
    site.spend(limiter, 15 * NANO, at_us=NOON - DAY_US)
    page = browser.get("/").text
    assert 'data-f="spent">$0.00<' in page
    assert "Last call" in page


def test_a_forecast_says_when_the_budget_is_used_up_at_this_pace(browser: TestClient, site: Site) -> None:
    limiter = site.create("Acme", "20", "day")
    site.spend(limiter, 15 * NANO, at_us=NOON - HOUR_US)
    assert 'Would run out <time datetime="2026-11-24T16:00:00Z" data-clock>' in browser.get("/").text
    site.limiters.update(limiter.id, budget_limit=100)
    assert (
        '<span title="$30.00 by the reset, at the pace so far">On pace for $30.00</span>'
        in browser.get("/").text
    )


def test_lists_are_searched_filtered_sorted_and_paged_by_links(browser: TestClient, site: Site) -> None:
    for number in range(60):
        site.create(f"Team {number:02d}", str(number + 1))
    assert names(browser.get("/").text)[:2] == ["Team 59", "Team 58"]
    assert len(names(browser.get("/").text)) == 50
    assert names(browser.get("/?page=2").text)[-1] == "Team 00"
    assert names(browser.get("/?page=99").text)[-1] == "Team 00"
    assert names(browser.get("/?sort=name&view=table").text)[:2] == ["Team 00", "Team 01"]
    assert names(browser.get("/?sort=budget&dir=asc").text)[0] == "Team 00"
    assert names(browser.get("/?q=TEAM 07").text) == ["Team 07"]
    code = site.limiters.list()[3].code
    assert names(browser.get(f"/?q={code}").text) == ["Team 03"]
    site.spend(site.limiters.list()[5], 6 * NANO)
    assert names(browser.get("/?status=over").text) == ["Team 05"]
    assert "No limiter matches" in browser.get("/?q=nobody").text
    assert browser.get("/?page=x&sort=y&view=z&status=q&dir=w").status_code == 200


def test_the_address_with_the_code_is_for_the_proxy(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    assert f"http://localhost:8000/v1/{limiter.code}" in browser.get("/").text


def names(page: str) -> list[str]:
    return re.findall(r'<a href="/limiters/[0-9a-f-]{36}"[^>]*>([^<]+)</a>', page)


# One limiter


def test_the_page_of_a_limiter_shows_models_users_calls_and_refusals(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    site.spend(limiter, NANO, user="ann", model="gpt-4o")
    site.spend(limiter, 2 * NANO, user="bob", model="o3", at_us=NOON - 3 * HOUR_US)
    with Ledger(site.database, "worker") as ledger:
        ledger.count_refusals({(limiter.key, "budget_exceeded"): 3}, NOON)
    for by in ("hour", "day", "month"):
        page = browser.get(f"/limiters/{limiter.id}?by={by}").text
        for text in ("ann", "bob", "gpt-4o", "o3", "$3.00", "budget_exceeded", "The budget was used up."):
            assert text in page, (by, text)


def test_the_stats_of_a_minute_name_its_models_and_no_others(browser: TestClient, site: Site) -> None:
    limiter = site.create(period="minute")
    site.now = NOON + 5 * MINUTE_US
    site.spend(limiter, at_us=NOON + 4 * MINUTE_US, model="gpt-4.1")
    site.spend(limiter, 3 * NANO, model="gpt-4o")
    page = browser.get(f"/limiters/{limiter.id}/stats").text
    assert "By model in this minute" in page
    assert ">gpt-4o</span>" in page
    assert "$3.00" in page[page.index(">gpt-4o</span>") :]
    assert "gpt-4.1" not in page


@pytest.mark.parametrize("period", ["minute", "hour", "day", "week", "month", "year"])
def test_every_period_has_a_budget_line(browser: TestClient, site: Site, period: str) -> None:
    limiter = site.create(period=period)
    site.spend(limiter, NANO)
    page = browser.get(f"/limiters/{limiter.id}").text
    assert "$1.00 of $20.00 spent so far in this window." in page
    assert browser.get(f"/limiters/{limiter.id}/stats").status_code == 200


def test_calls_are_paged_from_the_newest(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    ids = [site.spend(limiter, NANO, at_us=NOON - (50 - number) * 1_000_000) for number in range(40)]
    page = browser.get(f"/limiters/{limiter.id}").text
    assert shown_calls(page) == ids[:9:-1]
    older = re.search(r'href="([^"]+before=\d+)"', page)
    assert older
    assert shown_calls(browser.get(older[1]).text) == ids[9::-1]


def shown_calls(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'data-call="(\d+)"', page)]


def test_a_call_shows_how_its_cost_came_about_line_by_line(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    usage = Usage(input_tokens=1_000, cached_tokens=400, output_tokens=100)
    # gpt-4o: $2.50, $1.25 cached, $10 per million tokens.
    call = site.spend(limiter, 1_500_000 + 500_000 + 1_000_000, usage=usage, model="gpt-4o-2024-08-06")
    page = browser.get(f"/limiters/{limiter.id}/calls/{call}").text
    for text in (
        "cached input",
        "$2.50 per million",
        "$1.25 per million",
        "$0.0015",
        "$0.0005",
        "$0.001",
        "$0.003",
    ):
        assert text in page, text


def test_a_call_that_one_region_computed_shows_its_surcharge(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    # claude-opus-4-5: $5 and $25 per million tokens, and a tenth of both.
    usage = Usage(input_tokens=1_000, output_tokens=100)
    call = site.spend(limiter, 8_250_000, usage=usage, model="claude-opus-4-5")
    page = browser.get(f"/limiters/{limiter.id}/calls/{call}").text
    for text in ("$5.00 per million", "surcharge for one region", "$0.00075 each"):
        assert text in page, text


def test_a_call_whose_lines_do_not_add_up_shows_none(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    call = site.spend(limiter, 123_456_789, basis="estimated")
    page = browser.get(f"/limiters/{limiter.id}/calls/{call}").text
    assert "$0.123456789" in page
    assert "per million" not in page
    assert "its tokens were counted here" in page


def test_a_call_of_another_limiter_is_not_found(browser: TestClient, site: Site) -> None:
    one, other = site.create("One"), site.create("Other")
    call = site.spend(one)
    assert browser.get(f"/limiters/{other.id}/calls/{call}").status_code == 404
    assert browser.get(f"/limiters/{one.id}/calls/{10**18}").status_code == 404


# Statistics and prices


def test_statistics_compare_with_the_days_before(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    site.spend(limiter, 3 * NANO)
    site.spend(limiter, 2 * NANO, at_us=NOON - 7 * DAY_US, user="bob")
    page = browser.get("/statistics?range=7d").text
    assert "$3.00" in page
    assert "<strong>+50%</strong> against the 7 days before" in page
    assert "18 Nov 2026 to 24 Nov 2026 (UTC)" in page


@pytest.mark.parametrize("by", ["limiter", "model", "user"])
@pytest.mark.parametrize("query", ["range=today", "range=30d", "range=365d", "from=2026-11-23&to=2026-11-24"])
def test_every_range_and_stacking_adds_up_to_the_same(
    browser: TestClient, site: Site, by: str, query: str
) -> None:
    for name, user, model, cost in (
        ("One", "ann", "gpt-4o", 1),
        ("Two", "ann", "o3", 2),
        ("Two", "bob", "o3", 4),
    ):
        limiter = next((one for one in site.limiters.list() if one.name == name), None) or site.create(name)
        site.spend(limiter, cost * NANO, user=user, model=model)
    page = browser.get(f"/statistics?{query}&by={by}").text
    assert "$7.00 in all" in page
    assert re.search(r"<dt>Active users</dt><dd title=\"2\">2<", page)


def test_a_range_that_makes_no_sense_is_said_and_the_default_is_shown(browser: TestClient) -> None:
    for query in (
        "from=2026-11-24&to=2026-11-01",
        "from=x&to=y",
        "from=2026-11-24",
        "from=0001-01-01&to=9999-12-31",
    ):
        answer = browser.get(f"/statistics?{query}")
        assert answer.status_code == 200
        assert 'role="alert"' in answer.text
        assert "26 Oct 2026 to 24 Nov 2026" in answer.text


def test_deleted_limiters_stay_in_the_statistics_and_are_marked(browser: TestClient, site: Site) -> None:
    limiter = site.create("Gone")
    site.spend(limiter)
    site.limiters.delete(limiter.id)
    page = browser.get("/statistics").text
    assert "Gone" in page
    assert ">deleted<" in page
    assert f'href="/limiters/{limiter.id}"' not in page


def test_tables_sort_by_any_column_both_ways(browser: TestClient, site: Site) -> None:
    for name, cost in (("Alpha", 1), ("Beta", 3), ("Gamma", 2)):
        site.spend(site.create(name), cost * NANO, user=f"user of {name}")

    def order(query: str) -> list[str]:
        page = browser.get(f"/statistics?{query}").text
        return re.findall(
            r'title="(Alpha|Beta|Gamma)"', page.split('id="limiters"')[1].split('id="models"')[0]
        )

    assert order("limiters_sort=cost") == ["Beta", "Gamma", "Alpha"]
    assert order("limiters_sort=cost&limiters_dir=asc") == ["Alpha", "Gamma", "Beta"]
    assert order("limiters_sort=name") == ["Alpha", "Beta", "Gamma"]
    users = browser.get("/statistics?users_sort=name&users_dir=desc").text.split('id="users"')[1]
    assert re.findall(r'title="(user of \w+)"', users) == ["user of Gamma", "user of Beta", "user of Alpha"]


def test_the_price_book_is_shown_with_source_and_date(browser: TestClient) -> None:
    page = browser.get("/prices?q=gpt-4o").text
    assert "<code>gpt-4o</code>" in page
    assert "2026-11-" in page
    assert "<code>o3</code>" not in page
    assert "No model matches" in browser.get("/prices?q=nothing-like-this").text


def test_models_without_a_price_are_named_with_what_to_do(browser: TestClient, site: Site) -> None:
    limiter, strict = site.create(unpriced="fallback"), site.create("Strict one")
    site.spend(limiter, basis="fallback", model="brand-new-model")
    with Ledger(site.database, "worker") as ledger:
        refused = {(strict.key, "model_not_priced"): 4}
        ledger.count_refusals(refused, site.clock(), {(strict.key, "gpt-99"): 3, (strict.key, "gpt-4o"): 1})
    page = browser.get("/prices").text
    asked, charged = page.index(">gpt-99</code>"), page.index(">brand-new-model</code>")
    assert asked < charged, "what was refused comes first"
    assert "Strict one" in page[asked:charged]
    assert "refused" in page[asked:charged]
    assert "at the fallback price" in page[charged:]
    assert "Add a row for each to the price book" in page
    panel = page[: page.index('class="toolbar"')]
    assert ">gpt-4o</code>" not in panel, "what has a price by now is no trouble any more"


@pytest.mark.parametrize(
    "way_out", [{"model_map": {"our-own": "gpt-4o"}}, {"unpriced": "fallback"}, {"is_active": False}]
)
def test_a_model_without_a_price_is_no_trouble_once_its_limiter_knows_what_to_do(
    browser: TestClient, site: Site, way_out: dict[str, object]
) -> None:
    limiter = site.create()
    with Ledger(site.database, "worker") as ledger:
        ledger.count_refusals(
            {(limiter.key, "model_not_priced"): 1}, site.clock(), {(limiter.key, "our-own"): 1}
        )
    assert ">our-own</code>" in browser.get("/prices").text
    site.limiters.update(limiter.id, **way_out)
    assert (">our-own</code>" in browser.get("/prices").text) is ("is_active" in way_out)


def test_a_price_book_that_was_spoilt_is_said_and_the_last_good_one_stays(
    browser: TestClient, site: Site
) -> None:
    good = (ROOT / "tests/metering/good_book.yaml").read_text()
    path, seconds = site.folder / "pricing.yaml", count(0, SECOND_US)
    path.write_text(good)
    site.prices = PriceBookFile(path, clock=lambda: next(seconds))
    path.write_text(good.replace("output: 8", "output: -8"))
    page = browser.get("/prices").text
    assert "cannot be used: line 23: output in standard must not be negative." in page
    assert "<code>good-model</code>" in page
    path.write_text(good + "\n")
    assert "cannot be used" not in browser.get("/prices").text


# Every page


def paths(site: Site) -> list[str]:
    limiter = site.create(HOSTILE, "1")
    call = site.spend(limiter, 2 * NANO, user=HOSTILE, model=HOSTILE)
    own = f"/limiters/{limiter.id}"
    return [
        "/", "/?view=table", f"/?q={HOSTILE}", "/limiters/new", own, f"{own}/stats", f"{own}/connect", f"{own}/edit",
        f"{own}/delete", f"{own}/rotate-code", f"{own}/calls/{call}", "/statistics", "/statistics?by=user", "/prices", "/nowhere",
    ]  # fmt: skip


def test_hostile_names_are_text_on_every_page(browser: TestClient, site: Site) -> None:
    for path in paths(site):
        page = browser.get(path).text
        assert "<script>alert" not in page, path
        assert "210003" not in page, path


def test_pages_need_nothing_inline_and_nothing_from_elsewhere(browser: TestClient, site: Site) -> None:
    for path in paths(site):
        page = browser.get(path).text
        assert not re.search(r"<style|\sstyle=|<script(?! src=\"/static/)|\son\w+=\"|javascript:", page), path
        loaded = re.findall(r'(?:src|<link[^>]+href|<use href)="([^"]+)"', page)
        assert all(address.startswith(("/static/", "#")) for address in loaded), loaded


def test_every_form_that_changes_something_carries_the_token(browser: TestClient, site: Site) -> None:
    for path in paths(site):
        for form in re.findall(r'<form method="post".*?</form>', browser.get(path).text, re.DOTALL):
            assert 'name="csrf"' in form, path


def test_every_link_leads_somewhere(browser: TestClient, site: Site) -> None:
    tried: set[str] = set()
    for path in paths(site):
        for link in links(browser.get(path).text):
            if link in tried or not link.startswith("/"):
                continue
            tried.add(link)
            assert browser.get(link).status_code == 200, (path, link)
    assert len(tried) > 40


def links(page: str) -> list[str]:
    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            href = dict(attrs).get("href")
            if tag == "a" and href:
                found.append(urlsplit(href)._replace(fragment="").geturl())

    Links().feed(page)
    return found


def test_pages_are_never_kept_by_a_cache_and_static_files_are(browser: TestClient) -> None:
    page = browser.get("/")
    assert page.headers["cache-control"] == "no-store"
    for address in re.findall(r'"(/static/[^"]+\?v=[^"]+)"', page.text):
        assert "immutable" in browser.get(address).headers["cache-control"]


def test_a_limiter_that_does_not_exist_is_a_page_that_says_so(browser: TestClient) -> None:
    for path in (
        "/limiters/none",
        "/limiters/none/edit",
        "/limiters/none/stats",
        "/limiters/none/connect",
        "/nowhere",
    ):
        answer = browser.get(path)
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text


def test_a_database_that_does_not_answer_is_a_page_that_offers_to_try_again(
    browser: TestClient, site: Site
) -> None:
    site.database.path.rename(site.database.path.with_suffix(".away"))
    answer = browser.get("/statistics?range=7d")
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text
    assert 'href="/statistics?range=7d"' in answer.text
    site.database.path.with_suffix(".away").rename(site.database.path)


def test_an_inactive_limiter_admits_nothing_and_the_page_says_so(browser: TestClient, site: Site) -> None:
    limiter = site.create()
    send(browser, "/limiters/active", turn=f"{limiter.id} off")
    call = Admission(
        limiter_key=limiter.key,
        limiter_version=2,
        user="",
        model="gpt-4o",
        endpoint="responses",
        hold_nanousd=1,
    )
    with Ledger(site.database, "worker") as ledger:
        assert ledger.admit(call, NOON).code == "limiter_inactive"  # type: ignore[union-attr]
    assert ">Inactive</span>" in browser.get("/").text


def test_a_page_of_fifty_limiters_weighs_less_than_200_kilobytes_with_all_it_loads(
    browser: TestClient, site: Site
) -> None:
    for number in range(60):
        limiter = site.create(f"Department number {number:03d}", "123.45")
        for hour in range(0, 24, 6):
            site.spend(limiter, 123_456_789, at_us=NOON - hour * HOUR_US)
    page = browser.get("/")
    loaded = sum(len(browser.get(address).content) for address in re.findall(r'"(/static/[^"]+)"', page.text))
    assert len(page.content) + loaded < 200_000
