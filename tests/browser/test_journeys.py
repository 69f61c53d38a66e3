"""What an administrator does, in a real browser: sign in, create, edit, switch, copy, delete, look up, take away."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from metering.money import NANO
from tests.browser.conftest import PHONE, Open, sign_in
from tests.browser.product import Product


def card(page: Page, name: str) -> Locator:
    return page.locator(".card", has=page.get_by_role("link", name=name, exact=True))


def names(page: Page) -> list[str]:
    return page.locator(".card h2").all_inner_texts()


def look_until_there(page: Page, path: str, wanted: Locator) -> None:
    """Sums that took long to add up are kept for some seconds, so the newest call may not be in them yet."""
    for _ in range(50):
        page.goto(path)
        if wanted.count():
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"{path} does not show {wanted}")


def test_signing_in_leads_to_the_page_that_was_asked_for_and_out_again(
    window: Open, product: Product
) -> None:
    page = window(signed_in=False)
    page.goto("/statistics?range=7d")
    expect(page).to_have_title("Sign in · GPT Usage Limiter")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("open sesame")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{product.url}/statistics?range=7d")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{product.url}/login")
    page.goto("/statistics")
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_wrong_password_is_said_and_the_name_is_kept(window: Open, product: Product) -> None:
    page = window(signed_in=False, expected=401)
    page.goto("/login")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This username and password do not fit together.")
    expect(page.get_by_label("Username")).to_have_value("admin")
    expect(page.get_by_label("Password")).to_be_focused()


def test_the_first_limiter_is_created_from_the_empty_page_and_leads_to_its_first_call(
    page: Page, product: Product
) -> None:
    page.goto("/")
    page.get_by_role("link", name="Create your first limiter").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Customer A")
    dialog.get_by_label("Budget", exact=True).fill("12.5")
    dialog.get_by_label("Each").select_option("week")
    expect(dialog.locator("[data-summary]")).to_have_text(
        "$12.50 each week, resets on Monday at midnight UTC"
    )
    dialog.get_by_role("button", name="Create limiter").click()
    expect(dialog.get_by_role("heading", name="Connect to “Customer A”")).to_be_visible()
    expect(page.locator("[data-toast]")).to_contain_text("“Customer A” was created.")
    (limiter,) = product.limiters.list()
    expect(dialog.locator("pre:visible")).to_contain_text(
        f'base_url="http://localhost:8000/v1/{limiter.code}"'
    )
    dialog.get_by_role("tab", name="curl").click()
    expect(dialog.locator("pre:visible")).to_contain_text(
        f"curl http://localhost:8000/v1/{limiter.code}/chat/completions"
    )
    page.keyboard.press("Escape")
    expect(card(page, "Customer A")).to_contain_text("$12.50 per week")


def test_what_is_wrong_stands_beside_its_field_before_and_after_it_is_sent(
    window: Open, product: Product
) -> None:
    page = window(expected=422)
    page.goto("/limiters/new")
    page.get_by_label("Budget", exact=True).fill("a lot")
    page.get_by_role("button", name="Create limiter").click()
    expect(page.get_by_text("Name is required.")).to_be_visible()
    expect(page.get_by_text("Budget must be a number of dollars, such as 20 or 0.50.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.goto("/")
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Metadata")
    dialog.get_by_label("Upstream address").fill("http://169.254.169.254/")
    dialog.get_by_role("button", name="Create limiter").click()
    wrong = dialog.get_by_label("Upstream address")
    expect(wrong).to_be_focused()
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(dialog.locator("#e-base_url")).to_contain_text("link-local")
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("Metadata")
    assert product.limiters.list() == []


def test_an_edit_is_seen_in_place_and_the_search_stays(page: Page, product: Product) -> None:
    product.create("Acme")
    product.create("Globex")
    page.goto("/?q=acme")
    card(page, "Acme").get_by_role("link", name="Edit").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Budget", exact=True)).to_have_value("20.00")
    dialog.get_by_label("Budget", exact=True).fill("1204.5")
    dialog.get_by_label("Each").select_option("month")
    dialog.get_by_role("button", name="Save changes").click()
    expect(page.locator("[data-toast]")).to_contain_text("“Acme” was saved.")
    expect(dialog).to_be_hidden()
    expect(card(page, "Acme")).to_contain_text("$1,204.50 per month")
    assert names(page) == ["Acme"]
    expect(page).to_have_url(f"{product.url}/?q=acme")


def test_a_switch_acts_at_once_and_says_what_it_did(page: Page, product: Product) -> None:
    limiter = product.create("Acme")
    page.goto("/")
    switch = page.get_by_role("switch", name="Acme is active")
    expect(switch).to_be_checked()
    switch.click()
    expect(page.locator("[data-toast]")).to_contain_text("inactive: all its calls are refused")
    expect(switch).not_to_be_checked()
    expect(switch).to_be_focused()
    expect(card(page, "Acme")).to_contain_text("Inactive")
    assert not product.limiters.get(limiter.id).is_active
    switch.click()
    expect(switch).to_be_checked()
    assert product.limiters.get(limiter.id).is_active


def test_address_and_snippets_are_copied(page: Page, product: Product) -> None:
    limiter = product.create("Acme")
    page.goto("/")
    card(page, "Acme").get_by_role("button", name="Copy the address").click()
    expect(page.get_by_text("Copied to the clipboard.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"http://localhost:8000/v1/{limiter.code}"
    card(page, "Acme").get_by_role("link", name="Connect").click()
    page.get_by_role("tab", name="JavaScript").click()
    page.get_by_role("button", name="Copy the JavaScript example").click()
    expect(page.get_by_role("dialog").get_by_text("Copied to the clipboard.")).to_be_visible()
    assert f'baseURL: "http://localhost:8000/v1/{limiter.code}"' in page.evaluate(
        "navigator.clipboard.readText()"
    )


def test_a_new_code_replaces_the_address(page: Page, product: Product) -> None:
    limiter = product.create("Acme")
    page.goto(f"/limiters/{limiter.id}")
    page.get_by_role("link", name="Replace").click()
    page.get_by_role("button", name="Replace the code").click()
    expect(page.get_by_role("dialog").locator(".endpoint code")).to_contain_text("http://localhost:8000/v1/")
    assert product.limiters.get(limiter.id).code != limiter.code
    after = product.limiters.get(limiter.id)
    expect(page.get_by_role("dialog").locator(".endpoint code")).to_have_text(
        f"http://localhost:8000/v1/{after.code}"
    )


def test_deleting_asks_for_the_name(page: Page, product: Product) -> None:
    product.create("Acme")
    product.create("Globex")
    page.goto("/")
    card(page, "Acme").get_by_role("link", name="Delete").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Type the limiter's name to confirm").fill("acme")
    dialog.get_by_role("button", name="Delete limiter").click()
    expect(dialog).to_be_visible()
    assert len(product.limiters.list()) == 2
    dialog.get_by_label("Type the limiter's name to confirm").fill("Acme")
    dialog.get_by_role("button", name="Delete limiter").click()
    expect(page.locator("[data-toast]")).to_contain_text("“Acme” was deleted.")
    expect(card(page, "Acme")).to_have_count(0)
    assert names(page) == ["Globex"]


def test_the_stats_of_a_limiter_open_over_the_list(page: Page, product: Product) -> None:
    product.spend(product.create("Acme"), 5 * NANO, model="gpt-4o")
    page.goto("/")
    card(page, "Acme").get_by_role("link", name="Stats").click()
    dialog = page.get_by_role("dialog")
    expect(
        dialog.get_by_role("img", name="Spend in the current day, in US dollars. $5.00 of $20.00")
    ).to_be_visible()
    expect(dialog.get_by_role("row", name="gpt-4o")).to_contain_text("$5.00")
    dialog.get_by_role("button", name="Close").click()
    expect(card(page, "Acme").get_by_role("link", name="Stats")).to_be_focused()


def test_a_call_shows_how_its_cost_came_about(page: Page, product: Product) -> None:
    limiter = product.create("Acme")
    product.spend(limiter, 4_500_000, model="gpt-4o", price_row=product.price_row("gpt-4o"))
    page.goto(f"/limiters/{limiter.id}")
    page.locator("[data-calls] a").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row", name="input")).to_contain_text("$2.50 per million")
    expect(dialog.get_by_role("row", name="Cost")).to_contain_text("$0.0045")


def test_limiters_are_searched_filtered_and_sorted(page: Page, product: Product) -> None:
    for name, spent, active in (
        ("Alpha", 1, True),
        ("Beta", 19, True),
        ("Gamma", 20, True),
        ("Delta", 3, False),
    ):
        limiter = product.create(name)
        product.spend(limiter, spent * NANO)
        if not active:
            product.limiters.update(limiter.id, is_active=False)
    page.goto("/")
    page.keyboard.press("/")
    expect(page.get_by_label("Search limiters")).to_be_focused()
    page.keyboard.type("alp")
    expect(page.locator(".card")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=alp$"))
    page.keyboard.press("Escape")
    expect(page.locator(".card")).to_have_count(4)
    page.get_by_role("navigation", name="Filter by state").get_by_role("link", name="Used up").click()
    expect(page.locator(".card")).to_have_count(1)
    assert names(page) == ["Gamma"]
    page.get_by_role("navigation", name="Filter by state").get_by_role("link", name="All").click()
    expect(page.locator(".card")).to_have_count(4)
    page.get_by_label("Sort by").select_option("spent")
    expect(page.locator(".card h2").first).to_have_text("Gamma")
    assert names(page) == ["Gamma", "Beta", "Delta", "Alpha"]
    page.go_back()
    expect(page.locator(".card h2").first).to_have_text("Delta")
    page.get_by_role("link", name="Table").click()
    page.get_by_role("columnheader", name="Name").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    rows = page.locator("tbody th a")
    assert rows.all_inner_texts() == ["Alpha", "Beta", "Delta", "Gamma"]
    page.get_by_role("columnheader", name="Used").get_by_role("link").click()
    expect(rows.first).to_have_text("Gamma")


def test_statistics_sort_and_choose_ranges_in_place(page: Page, product: Product) -> None:
    product.spend(product.create("Cheap one"), NANO // 100, user="carl", model="gpt-4o-mini")
    product.spend(product.create("Dear one"), 900 * NANO, user="dora", model="gpt-4o")
    table = page.get_by_role("region", name="By limiter")
    look_until_there(page, "/statistics", table.get_by_text("Dear one"))
    expect(table.locator("tbody th").first).to_contain_text("Dear one")
    table.get_by_role("columnheader", name="Cost").get_by_role("link").click()
    expect(table.get_by_role("columnheader", name="Cost")).to_have_attribute("aria-sort", "ascending")
    expect(table.locator("tbody th").first).not_to_contain_text("Dear one")
    page.get_by_role("navigation", name="Stacked by").get_by_role("link", name="Model").click()
    expect(page.get_by_role("img", name="Spend by model")).to_be_visible()
    page.get_by_role("navigation", name="Range").get_by_role("link", name="Today").click()
    expect(page).to_have_url(re.compile("range=today"))
    page.locator(".col").last.hover()
    expect(page.locator(".tip")).to_contain_text("UTC")
    page.get_by_text("As a table").click()
    expect(
        page.get_by_role("region", name="as a table").get_by_role("columnheader", name="gpt-4o", exact=True)
    ).to_be_visible()


def test_every_table_can_be_taken_away(page: Page, product: Product, tmp_path: Path) -> None:
    limiter = product.create("=Acme")
    product.spend(limiter, 1_500_000_000, user="@ann")
    look_until_there(page, "/statistics?range=today", page.locator("#users").get_by_text("@ann"))
    for table in ("limiters", "users", "models"):
        with page.expect_download() as download:
            page.locator(f"#{table}").get_by_role("link", name="CSV").click()
        rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
        assert rows, table
        if table == "users":
            assert {"'@ann", "'=Acme"} <= {cell for row in rows for cell in row.values()}
    page.goto(f"/limiters/{limiter.id}")
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    (call,) = json.loads(download.value.path().read_text())
    assert (call["user"], call["cost"]) == ("@ann", 1.5)


def test_an_expired_session_returns_to_the_same_page_after_the_login(window: Open, product: Product) -> None:
    limiter = product.create("Acme")
    page = window()
    page.goto(f"/limiters/{limiter.id}?by=hour")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    with product.later(hours=25):
        page.get_by_role("link", name="Month").click()
        expect(page.get_by_label("Password")).to_be_visible()
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill("open sesame")
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{product.url}/limiters/{limiter.id}?by=hour")
        expect(page.get_by_role("heading", name="Acme")).to_be_visible()


def test_everything_can_be_done_with_the_keyboard_alone(page: Page, product: Product) -> None:
    product.create("Acme")
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("Globex")
    page.keyboard.press("Tab")
    expect(dialog.get_by_label("Budget", exact=True)).to_be_focused()
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("heading", name="Connect to “Globex”")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert {limiter.name: limiter.budget_nanousd for limiter in product.limiters.list()}["Globex"] == 7 * NANO
    edit = card(page, "Acme").get_by_role("link", name="Edit")
    edit.focus()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("heading", name="Edit limiter")).to_be_visible()
    page.keyboard.press("Escape")
    expect(edit).to_be_focused()
    page.get_by_role("switch", name="Acme is active").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("switch", name="Acme is active")).not_to_be_checked()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_times_are_in_the_zone_of_the_reader_with_utc_on_hover(page: Page, product: Product) -> None:
    limiter = product.create("Acme")
    page.goto(f"/limiters/{limiter.id}")
    created = page.locator("dt", has_text="Created").locator("xpath=..").locator("time")
    shown, utc = created.inner_text(), created.get_attribute("title")
    assert utc is not None
    assert utc.endswith("UTC")
    assert shown[-5:] != utc[11:16]


@pytest.mark.parametrize("device", ["wide", "phone"])
def test_without_javascript_limiters_can_still_be_managed(
    window: Open, product: Product, device: str
) -> None:
    page = window(java_script_enabled=False, **({"size": PHONE} if device == "phone" else {}))
    page.goto("/")
    page.get_by_role("link", name="Create your first limiter").click()
    page.get_by_label("Name", exact=True).fill("Plain")
    page.get_by_label("Budget", exact=True).fill("3")
    page.get_by_role("button", name="Create limiter").click()
    expect(page.get_by_role("heading", name="Connect to “Plain”")).to_be_visible()
    page.get_by_role("link", name="Done").click()
    page.get_by_role("switch", name="Plain is active").click()
    expect(page.get_by_role("switch", name="Plain is active")).not_to_be_checked()
    card(page, "Plain").get_by_role("link", name="Edit").click()
    page.get_by_label("Budget", exact=True).fill("4")
    page.get_by_role("button", name="Save changes").click()
    expect(card(page, "Plain")).to_contain_text("$4.00 per day")
    page.get_by_label("Search limiters").fill("nothing like it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No limiter matches.")).to_be_visible()
    page.get_by_role("link", name="Show all limiters").click()
    card(page, "Plain").get_by_role("link", name="Delete").click()
    page.get_by_label("Type the limiter's name to confirm").fill("Plain")
    page.get_by_role("button", name="Delete limiter").click()
    expect(page.get_by_role("link", name="Create your first limiter")).to_be_visible()
    assert product.limiters.list() == []


def test_signing_in_works_without_javascript(window: Open, product: Product) -> None:
    page = window(java_script_enabled=False, signed_in=False)
    sign_in(page, product.url)
