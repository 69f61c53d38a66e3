"""The price book on disk: reloaded when it changes, kept when it is spoilt."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from metering.errors import PriceBookError
from metering.pricing import PriceBookFile
from tests.metering.pricing.conftest import ROOT

GOOD = (ROOT / "tests/metering/good_book.yaml").read_text()
DEARER = GOOD.replace("input: 2,", "input: 3,")
SECOND_US = 1_000_000


class Desk:
    """A price book in use, with a clock that the test turns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_us = 0
        self.errors: list[str] = []
        self.reloads = 0
        self.postponed: list[Callable[[], None]] = []
        path.write_text(GOOD)

    def open(self, start: Callable[[Callable[[], None]], None] | None = None) -> PriceBookFile:
        return PriceBookFile(
            self.path,
            clock=lambda: self.now_us,
            on_error=lambda error: self.errors.append(str(error)),
            on_reload=lambda _: setattr(self, "reloads", self.reloads + 1),
            **({"start": start} if start else {}),
        )

    def rewrite(self, text: str) -> None:
        """As editors do it: a new file in the place of the old."""
        other = self.path.with_suffix(".new")
        other.write_text(text)
        other.replace(self.path)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "pricing.yaml")


def input_price(file: PriceBookFile) -> int:
    row = file.current().find("good-model", 0)
    assert row is not None
    rate = row.rates(None, 1).input
    assert rate is not None
    return rate // 10**9


def test_a_changed_file_is_in_force_within_a_second(desk: Desk) -> None:
    file = desk.open()
    desk.rewrite(DEARER)
    desk.now_us += SECOND_US - 1
    assert input_price(file) == 2
    desk.now_us += 1
    assert input_price(file) == 3
    assert desk.reloads == 1
    assert file.current().loaded_at_us == SECOND_US


def test_an_unchanged_file_is_not_read_again(desk: Desk) -> None:
    file = desk.open()
    before = file.current()
    desk.now_us += 10 * SECOND_US
    assert file.current() is before
    assert desk.reloads == 0


def test_a_change_in_place_within_the_same_size_is_seen(desk: Desk) -> None:
    file = desk.open()
    desk.path.write_text(DEARER)
    os.utime(desk.path, ns=(10**18, 10**18))
    desk.now_us += SECOND_US
    assert input_price(file) == 3


def test_a_spoilt_file_is_reported_once_and_the_last_good_one_stays(desk: Desk) -> None:
    file = desk.open()
    desk.rewrite(GOOD.replace("output: 8", "output: -8"))
    for _ in range(5):
        desk.now_us += SECOND_US
        assert input_price(file) == 2
    assert desk.errors == [f"{desk.path}, line 23: output in standard must not be negative."]
    desk.rewrite(DEARER)
    desk.now_us += SECOND_US
    assert input_price(file) == 3


def test_a_vanished_file_is_reported_once_and_the_last_good_one_stays(desk: Desk) -> None:
    file = desk.open()
    desk.path.unlink()
    for _ in range(3):
        desk.now_us += SECOND_US
        assert input_price(file) == 2
    assert len(desk.errors) == 1
    assert "cannot be read" in desk.errors[0]


def test_a_clock_that_is_set_back_does_not_stop_the_looking(desk: Desk) -> None:
    desk.now_us = 100 * SECOND_US
    file = desk.open()
    desk.rewrite(DEARER)
    desk.now_us = 0
    assert input_price(file) == 3


def test_the_old_book_stays_in_force_while_the_new_one_is_read(desk: Desk) -> None:
    file = desk.open(desk.postponed.append)
    desk.rewrite(DEARER)
    for _ in range(3):
        desk.now_us += SECOND_US
        assert input_price(file) == 2
    (work,) = desk.postponed
    work()
    assert input_price(file) == 3


def test_the_first_book_must_be_good(desk: Desk) -> None:
    desk.path.write_text("sources: {}\n")
    with pytest.raises(PriceBookError):
        desk.open()
