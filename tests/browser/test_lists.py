"""Finding and taking away: search, filters, orders, ranges, and every table as a file."""

from __future__ import annotations

import csv
import io
import json
import re

from playwright.sync_api import Locator, Page, expect

from metering.money import NANO
from tests.browser.conftest import names
from tests.browser.product import Product


def look_until_there(page: Page, path: str, wanted: Locator) -> None:
    """Sums that took long to add up are kept for some seconds, so the newest call may not be in them yet."""
    for _ in range(50):
        page.goto(path)
        if wanted.count():
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"{path} does not show {wanted}")


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


def test_every_table_can_be_taken_away(page: Page, product: Product) -> None:
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
