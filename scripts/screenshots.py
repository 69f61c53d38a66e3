"""`scripts/screenshots [FOLDER]`: pictures of every page and state, from the demo, with Debian's Chromium.

For the README and for looking at one's own work: light and dark, wide and phone, empty, one limiter, two hundred, odd names,
errors (`--all`). The folder is docs/images by default.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from metering.database import Database
from metering.limiters import Limiters
from scripts import demo
from scripts.demo_traffic import TENANTS, Tenant, many

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
WIDE: ViewportSize = {"width": 1280, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 844}
Act = Callable[[Page], None]


@dataclass(frozen=True, slots=True)
class Shot:
    """A page and what is done on it before the picture is taken."""

    name: str
    path: str
    act: Act = lambda _: None
    whole: bool = False


def click(selector: str) -> Act:
    """Click, and wait for what it opens."""

    def act(page: Page) -> None:
        page.locator(selector).first.click()
        page.wait_for_timeout(500)

    return act


def main() -> int:
    """Take them all."""
    parser = argparse.ArgumentParser(prog="screenshots", description="Pictures of every page and state.")
    parser.add_argument("folder", nargs="?", type=Path, default=demo.ROOT / "docs" / "images")
    parser.add_argument("--all", action="store_true", help="the rare states, too")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    # The demo takes any free port; the pictures show the usual one.
    os.environ["PUBLIC_PROXY_URL"] = "http://localhost:8000"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        for _ in stacks(browser, chosen.folder, rare=chosen.all):
            pass
        browser.close()
    return 0


def stacks(browser: Browser, folder: Path, *, rare: bool) -> Iterator[None]:
    """The demo as it comes; with `rare`, an empty one and one with 200 limiters."""
    with tempfile.TemporaryDirectory() as place, _demo(Path(place)) as running:
        limiter = next(one for tenant, one in running.pairs if tenant.name == "Globex Pro plan")
        with demo.live_traffic(running):
            for theme in ("light", "dark"):
                for device, size in (("wide", WIDE), ("phone", PHONE)):
                    shots = _shots(limiter.id) + (_more_shots() if rare else [])
                    take(browser, running.url, folder, f"{theme}-{device}", theme, size, shots, rare=rare)
        yield
    if not rare:
        return
    with tempfile.TemporaryDirectory() as place, _demo(Path(place), tenants=()) as running:
        shots = [
            Shot("empty", "/"),
            Shot("empty-statistics", "/statistics"),
            Shot("not-found", "/limiters/none"),
        ]
        take(browser, running.url, folder, "light-wide", "light", WIDE, shots)
        limiters = Limiters(Database(Path(place) / "usage.db"))
        limiters.create(name="The only one", budget_limit=Decimal(20), period_type="day")
        take(browser, running.url, folder, "light-wide", "light", WIDE, [Shot("one", "/")])
        yield
    with tempfile.TemporaryDirectory() as place, _demo(Path(place), tenants=many(200), days=3) as running:
        limiters = Limiters(Database(Path(place) / "usage.db"))
        for name, budget in odd():
            limiters.create(name=name, budget_limit=budget, period_type="minute")
        shots = [Shot("many", "/", whole=True), Shot("many-table", "/?view=table&sort=name")]
        take(browser, running.url, folder, "light-wide", "light", WIDE, shots)
        take(browser, running.url, folder, "dark-phone", "dark", PHONE, shots)
        yield


def odd() -> list[tuple[str, Decimal]]:
    """Names and amounts that break layouts."""
    return [
        ("W" * 200, Decimal(1_000_000_000)),
        ("<script>alert('x')</script> & \"friends\" {{7*7}}", Decimal("0.000000001")),
        ("Sehr viele Wörter, die umbrechen können und es auch tun werden", Decimal(0)),
        ("支払い管理者のための長い名前", Decimal("1204.5")),
        ("عميل مهم جداً في الشركة 👩\u200d💻", Decimal("0.000325")),
    ]


def take(
    browser: Browser,
    url: str,
    folder: Path,
    suffix: str,
    theme: str,
    size: ViewportSize,
    shots: list[Shot],
    *,
    rare: bool = False,
) -> None:
    """Sign in and take the pictures of one theme and size."""
    phone = size is PHONE
    context = browser.new_context(
        viewport=size,
        color_scheme="dark" if theme == "dark" else "light",
        device_scale_factor=2 if phone else 1,
        timezone_id="Europe/Berlin",
    )
    page = context.new_page()
    page.goto(f"{url}/login")
    if rare:
        page.screenshot(path=folder / f"login-{suffix}.png")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(demo.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("h1")
    for shot in shots:
        page.goto(url + shot.path)
        page.wait_for_timeout(400)
        shot.act(page)
        page.screenshot(path=folder / f"{shot.name}-{suffix}.png", full_page=shot.whole)
        print(f"{shot.name}-{suffix}.png", flush=True)
    context.close()


def _shots(limiter_id: str) -> list[Shot]:
    """What the README shows."""
    return [
        Shot("limiters", "/"),
        Shot("new", "/", click("text=New limiter")),
        Shot("limiter", f"/limiters/{limiter_id}"),
        Shot("call", f"/limiters/{limiter_id}", click("[data-calls] tr:nth-child(5) a")),
        Shot("statistics", "/statistics"),
    ]


def _more_shots() -> list[Shot]:
    return [
        Shot("limiters-table", "/?view=table&sort=usage"),
        Shot("stats", "/?sort=usage", click("text=Stats")),
        Shot("connect", "/?sort=usage", click("text=Connect")),
        Shot("prices", "/prices"),
        Shot("not-found", "/limiters/none"),
    ]


def _demo(
    place: Path, tenants: Sequence[Tenant] = TENANTS, days: int = 60
) -> AbstractContextManager[demo.Demo]:
    return demo.running(place, demo.free_port(), demo.free_port(), tenants=tenants, days=days)


if __name__ == "__main__":
    sys.exit(main())
