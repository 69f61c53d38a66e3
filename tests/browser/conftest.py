"""One Chromium and one service for all browser tests; for each test a window that must not log an error.

Both end with the last of these tests: while the browser is driven, a thread has an event loop that runs, and tests of other
folders start loops of their own. The browser is Debian's. Where it is missing, a test run says how to install it; a run that decides about a change (CI)
fails instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, StorageState, expect, sync_playwright

from stats_service import remembered
from tests.browser.product import Product
from tests.stats_service.pages_site import PASSWORD, ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
AXE = "axe-core@4.14.1"
WIDE = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
Open = Callable[..., Page]

expect.set_options(timeout=10_000)


def unavailable(what: str, remedy: str) -> NoReturn:
    """Skip with the remedy; under CI fail."""
    text = f"{what} is missing. Install it with: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        unavailable("Chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="package", autouse=True)
def sums_are_never_old() -> Iterator[None]:
    """Adding up is more work than the bound now and then where coverage looks on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remembered, "SLOW_S", 1e9)
        yield


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    product = Product(Path(tmp_path_factory.mktemp("service")))
    with product.served():
        yield product


@pytest.fixture
def product(running: Product) -> Iterator[Product]:
    """The service without any limiter."""
    yield running
    running.clear()


@pytest.fixture(scope="package")
def session(chromium: Browser, running: Product) -> StorageState:
    """The cookie of somebody who has signed in."""
    context = chromium.new_context()
    page = context.new_page()
    sign_in(page, running.url)
    state = context.storage_state()
    context.close()
    return state


def sign_in(page: Page, url: str, password: str = PASSWORD) -> None:
    """As an administrator does."""
    page.goto(f"{url}/login")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Limiters", exact=True)).to_be_visible()


def card(page: Page, name: str) -> Locator:
    """The card of a limiter."""
    return page.locator(".card", has=page.get_by_role("link", name=name, exact=True))


def names(page: Page) -> list[str]:
    """Those of the cards, in their order."""
    return page.locator(".card h2").all_inner_texts()


@pytest.fixture
def window(chromium: Browser, running: Product, session: StorageState) -> Iterator[Open]:
    """Open windows; none of them may log an error that its test does not expect by the status named in `expected`."""
    contexts = []
    logged: list[str] = []

    def open_window(
        *,
        theme: str = "light",
        size: dict[str, int] = WIDE,
        signed_in: bool = True,
        expected: int = 0,
        **more: Any,
    ) -> Page:
        context = chromium.new_context(
            base_url=running.url,
            viewport=size,  # type: ignore[arg-type]
            color_scheme=theme,  # type: ignore[arg-type]
            storage_state=session if signed_in else None,
            timezone_id="Europe/Berlin",
            locale="en-GB",
            permissions=["clipboard-read", "clipboard-write"],
            **more,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)

        def listen(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"} and not (
                expected and f"status of {expected} " in message.text
            ):
                logged.append(f"{message.text} ({page.url})")

        page.on("console", listen)
        page.on("pageerror", lambda failure: logged.append(str(failure)))
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert logged == []


@pytest.fixture
def page(window: Open) -> Page:
    """A wide, light window, signed in, on no page yet."""
    return window()


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's script, from npm, kept in the project's cache."""
    folder = ROOT / ".cache" / AXE
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            unavailable("npm", "apt-get install npm")
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [
                npm,
                "install",
                "--prefix",
                str(folder),
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                AXE,
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode:
            unavailable(f"axe-core ({done.stderr.strip()[-300:]})", f"npm install --prefix {folder} {AXE}")
    return script.read_text()
