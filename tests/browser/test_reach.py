"""For everybody: with the keyboard alone, without JavaScript, in the reader's own time zone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from metering.money import NANO
from tests.browser.conftest import PHONE, Open, card, sign_in
from tests.browser.product import Product


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
