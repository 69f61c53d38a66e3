"""What an administrator does, in a real browser: sign in, create, edit, switch, copy, look up, delete."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from metering.money import NANO
from tests.browser.conftest import Open, card, names
from tests.browser.product import Product


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
