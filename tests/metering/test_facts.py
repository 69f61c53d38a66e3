"""Facts are records with fields by name."""

from dataclasses import replace

import pytest

from metering.facts import fact


@fact
class Point:
    x: int = 0
    y: int = 0


def test_facts_with_the_same_fields_are_the_same() -> None:
    assert Point(x=1) == Point(x=1, y=0)
    assert len({Point(x=1), Point(x=1), Point(x=2)}) == 2
    assert replace(Point(x=1), y=2) == Point(x=1, y=2)


def test_a_fact_has_its_own_fields_alone_and_by_name() -> None:
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Point(x=1).z = 3  # type: ignore[attr-defined]
