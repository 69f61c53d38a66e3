"""Figures that move while somebody looks: calls are made through the ledger, and nobody reloads anything."""

from __future__ import annotations

import re
from contextlib import closing

from playwright.sync_api import Page, expect

from metering.clock import DAY_US, HOUR_US
from metering.entries import Settlement
from metering.ledger import Ledger
from metering.money import NANO
from metering.usage import Usage
from tests.browser.conftest import Open, card
from tests.browser.product import Product

NARROW = {"width": 362, "height": 860}
"""Its one card is as narrow as cards are."""


def settle(product: Product, request_id: int, nanousd: int) -> None:
    usage = Usage(input_tokens=1_000, output_tokens=200)
    with Ledger(product.database, product.worker) as ledger:
        ledger.settle(
            Settlement(
                request_id=request_id, cost_nanousd=nanousd, basis="reported", usage=usage, status=200
            ),
            product.clock(),
        )


def live(page: Page) -> None:
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def figure(page: Page, name: str, field: str) -> object:
    return card(page, name).locator(f'[data-f="{field}"]')


def test_a_call_moves_the_figures_of_its_card_while_it_is_held_and_when_it_ends(
    page: Page, product: Product
) -> None:
    limiter = product.create("Acme")
    page.goto("/")
    live(page)
    page.evaluate("window.loadedOnce = true")
    request_id = product.hold(limiter, 2 * NANO)
    expect(figure(page, "Acme", "held")).to_have_text("$2.00")  # type: ignore[arg-type]
    expect(figure(page, "Acme", "percent")).to_have_text("10%")  # type: ignore[arg-type]
    settle(product, request_id, 3 * NANO)
    expect(figure(page, "Acme", "spent")).to_have_text("$3.00")  # type: ignore[arg-type]
    expect(figure(page, "Acme", "held")).to_have_text("$0.00")  # type: ignore[arg-type]
    expect(figure(page, "Acme", "remaining")).to_have_text("$17.00")  # type: ignore[arg-type]
    expect(card(page, "Acme")).to_contain_text("Last call")
    assert page.evaluate("window.loadedOnce") is True


def test_a_card_redraws_its_sparkline_and_keeps_its_height_whatever_its_forecast_says(
    window: Open, product: Product
) -> None:
    limiter = product.create("Acme", "9999.999999999")
    # There is no forecast in the first hours of a day.
    with product.later(hours=3 if product.clock() % DAY_US < 3 * HOUR_US else 0):
        page = window(size=NARROW)
        page.goto("/")
        live(page)
        before = card(page, "Acme").bounding_box()
        columns = card(page, "Acme").locator(".spark path").last
        expect(columns).to_have_attribute("d", "")
        product.spend(limiter, 1)
        expect(figure(page, "Acme", "pace")).to_contain_text("On pace for $0.00000000")  # type: ignore[arg-type]
        expect(columns).to_have_attribute("d", re.compile("v-26$"))
        expect(
            card(page, "Acme").get_by_role("img", name="$0.000000001 in the last 24 hours")
        ).to_be_visible()
        assert card(page, "Acme").bounding_box() == before


def test_a_budget_that_is_used_up_is_seen_at_once(page: Page, product: Product) -> None:
    limiter = product.create("Acme")
    page.goto("/")
    live(page)
    product.spend(limiter, 16 * NANO)
    expect(card(page, "Acme").get_by_text("Near its budget")).to_be_visible()
    expect(figure(page, "Acme", "bar")).to_have_class(re.compile("warn"))  # type: ignore[arg-type]
    product.spend(limiter, 4_500_000_000)
    expect(card(page, "Acme").get_by_text("Used up")).to_be_visible()
    expect(figure(page, "Acme", "percent")).to_have_text("102.5%")  # type: ignore[arg-type]
    expect(figure(page, "Acme", "bar")).to_have_class(re.compile("over"))  # type: ignore[arg-type]


def test_calls_appear_on_the_page_of_their_limiter_and_change_when_they_end(
    page: Page, product: Product
) -> None:
    limiter = product.create("Acme")
    product.spend(limiter, NANO, user="first")
    page.goto(f"/limiters/{limiter.id}")
    live(page)
    rows = page.locator("[data-calls] tr")
    expect(rows).to_have_count(1)
    request_id = product.hold(limiter, 2 * NANO, user="second")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("in flight")
    settle(product, request_id, 2_500_000)
    expect(rows.first).to_contain_text("$0.0025")
    expect(rows.first).not_to_contain_text("in flight")


def test_two_windows_see_the_same(window: Open, product: Product) -> None:
    limiter = product.create("Acme")
    one, other = window(), window()
    for page in (one, other):
        page.goto("/")
        live(page)
    product.spend(limiter, 5 * NANO)
    for page in (one, other):
        expect(figure(page, "Acme", "spent")).to_have_text("$5.00")  # type: ignore[arg-type]


def test_a_page_whose_session_has_ended_leads_to_the_login_by_itself(window: Open, product: Product) -> None:
    limiter = product.create("Acme")
    page = window()
    page.goto("/?sort=name")
    live(page)
    with product.later(hours=25):
        product.spend(limiter, NANO)
        expect(page).to_have_url(re.compile(r"/login\?next=%2F%3Fsort%3Dname$"))


def test_what_was_deleted_elsewhere_is_gone_after_the_next_visit(page: Page, product: Product) -> None:
    limiter = product.create("Acme")
    page.goto("/")
    live(page)
    product.limiters.delete(limiter.id)
    page.reload()
    expect(page.get_by_role("link", name="Create your first limiter")).to_be_visible()
    with closing(product.database.open_reader()) as connection:
        assert connection.execute("select count(*) from limiters where deleted_at_us is null").fetchone() == (
            0,
        )
