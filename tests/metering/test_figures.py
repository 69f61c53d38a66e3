"""The figures for response headers."""

import pytest

from metering import figures
from metering.entries import Admitted, Figures
from metering.figures import FigureBoard
from metering.inbox import EndJob
from metering.periods import Period, Window

TODAY, TOMORROW = Window(0, 100), Window(100, 200)


def admitted(request_id: int, window: Window) -> Admitted:
    """A call that holds 10."""
    return Admitted(
        request_id=request_id,
        admitted_at_us=window.start_us,
        window=window,
        period=Period.DAY,
        budget_nanousd=100,
        used_nanousd=10,
        held_nanousd=10,
    )


def test_an_end_that_is_queued_moves_only_the_window_of_its_admission() -> None:
    board = FigureBoard()
    board.committed({1: Figures(100, 10, TODAY)})
    board.held(1, admitted(7, TODAY))
    job = EndJob(7, None, 502)
    board.queued(job)
    assert board.latest(1) == Figures(100, 0, TODAY)
    board.committed({1: Figures(100, 3, TOMORROW)})
    assert board.latest(1) == Figures(100, 3, TOMORROW)
    board.written(job)
    board.written(job)
    assert not (board._moves or board._queued or board._holds)


def test_an_end_that_nobody_held_moves_nothing() -> None:
    board = FigureBoard()
    board.queued(EndJob(7, None, None))
    board.written(EndJob(7, None, None))
    assert board.latest(1) is None


def test_the_board_forgets_the_limiters_that_were_used_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "LIMITERS_MAX", 2)
    board = FigureBoard()
    board.committed({1: Figures(1, 0, TODAY), 2: Figures(2, 0, TODAY)})
    board.committed({1: Figures(1, 1, TODAY)})
    board.committed({3: Figures(3, 0, TODAY)})
    assert [board.latest(key) is None for key in (1, 2, 3)] == [False, True, False]
