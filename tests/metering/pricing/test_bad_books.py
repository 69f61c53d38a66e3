"""One file for each way in which a price book can be wrong; its first line says how it is refused."""

import re
from pathlib import Path

import pytest

from metering.errors import PriceBookError
from metering.pricing import PriceBook

BAD = sorted((Path(__file__).parent.parent / "bad_pricing").glob("*.yaml"))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_price_book_is_refused_with_line_and_reason(path: Path) -> None:
    expected = re.match(r"# refused: (?:line (\d+)|no line): (.+)", path.read_text())
    assert expected is not None
    with pytest.raises(PriceBookError) as refused:
        PriceBook.load(path)
    line = int(expected[1]) if expected[1] else None
    assert (refused.value.line, refused.value.reason) == (line, expected[2])
    assert refused.value.path == str(path)


def test_the_book_that_the_bad_ones_are_made_from_is_good() -> None:
    book = PriceBook.load(Path(__file__).parent.parent / "good_book.yaml")
    assert book.find("good-alias", 0) is book.find("good-model", 0)


def test_a_book_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PriceBookError, match="cannot be read"):
        PriceBook.load(tmp_path / "none.yaml")


def test_a_book_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "book.yaml").write_bytes(b"sources: {}\nfees: \xff\n")
    with pytest.raises(PriceBookError, match="not UTF-8") as refused:
        PriceBook.load(tmp_path / "book.yaml")
    assert refused.value.line == 2


def test_a_monstrous_book_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "book.yaml").write_bytes(b"#" * (9 * 1024 * 1024))
    with pytest.raises(PriceBookError, match="larger than 8 MB"):
        PriceBook.load(tmp_path / "book.yaml")


def test_a_deeply_nested_book_is_refused_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "book.yaml").write_text("[" * 1_000)
    with pytest.raises(PriceBookError, match="not valid YAML"):
        PriceBook.load(tmp_path / "book.yaml")
