"""From the first page to the last dollar: the real proxy and service, an OpenAI SDK, and a browser that is never reloaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI, RateLimitError
from playwright.sync_api import Browser, expect

from scripts.standin import StandIn, ThreadedStandIn
from scripts.standin_openai import FakeOpenAI
from tests.browser.conftest import WIDE, card, sign_in
from tests.end_to_end.stack import PASSWORD, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    running = Stack(tmp_path)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def upstream() -> Iterator[StandIn]:
    with ThreadedStandIn(FakeOpenAI()) as standin:
        yield standin


def test_calls_through_the_sdk_move_the_figures_until_the_budget_refuses_them(
    stack: Stack, upstream: StandIn, chromium: Browser
) -> None:
    context = chromium.new_context(base_url=stack.service_url, viewport=WIDE)  # type: ignore[arg-type]
    page = context.new_page()
    sign_in(page, stack.service_url, PASSWORD)
    page.get_by_role("link", name="Create your first limiter").click()
    page.get_by_label("Name", exact=True).fill("Customer A")
    page.get_by_label("Budget", exact=True).fill("0.0001")
    page.get_by_label("Upstream address").fill(upstream.url)
    page.get_by_role("button", name="Create limiter").click()
    address = page.get_by_role("dialog").locator(".endpoint code").inner_text()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    limiter = card(page, "Customer A")

    with OpenAI(api_key="sk-a-client", base_url=address) as client:

        def call() -> None:
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "What is the capital of France?"}]
            )

        call()
        # Six tokens at $2.50 and eight at $10.00 for a million.
        expect(limiter.locator('[data-f="spent"]')).to_have_text("$0.000095")
        expect(limiter.locator('[data-f="percent"]')).to_have_text("95%")
        expect(limiter.get_by_text("Near its budget")).to_be_visible()
        call()
        expect(limiter.get_by_text("Used up")).to_be_visible()
        expect(limiter.locator('[data-f="percent"]')).to_have_text("190%")
        with pytest.raises(RateLimitError, match="Budget limit exceeded"):
            call()
    limiter.get_by_role("link", name="Customer A").click()
    expect(page.locator("[data-calls] tr")).to_have_count(2)
    expect(page.locator("[data-calls] tr").first).to_contain_text(re.compile("gpt-4o"))
    context.close()
