"""Tables as files: CSV for spreadsheets, JSON for programs, piece by piece.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and names of users come from strangers: such
cells get an apostrophe. Amounts are exact dollars: text in CSV, number literals in JSON, never floats.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from metering.money import dollars

Cell = str | int | bool | None
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""The wide ones are the same to a spreadsheet in East Asian languages."""
TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


@dataclass(frozen=True, slots=True)
class Dollars:
    """An amount, written exactly."""

    nanousd: int


def guarded(text: str) -> str:
    """The text, which no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


class CsvFile:
    """Rows to CSV. An empty cell is what is not known."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def start(self) -> str:
        return self.rows([self._columns])

    def rows(self, rows: Iterable[Sequence[Cell | Dollars]]) -> str:
        into = io.StringIO()
        csv.writer(into).writerows([_csv_cell(cell) for cell in row] for row in rows)
        return into.getvalue()

    def end(self) -> str:
        return ""


class JsonFile:
    """Rows to one JSON array of objects, one to a line."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = [json.dumps(name) for name in columns]
        self._first = True

    def start(self) -> str:
        return "[\n"

    def rows(self, rows: Iterable[Sequence[Cell | Dollars]]) -> str:
        parts = []
        for row in rows:
            cells = (f"{name}: {_json_cell(cell)}" for name, cell in zip(self._columns, row, strict=True))
            parts.append(f"{'' if self._first else ',\n'}{{{', '.join(cells)}}}")
            self._first = False
        return "".join(parts)

    def end(self) -> str:
        return "\n]\n"


def _csv_cell(cell: Cell | Dollars) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Dollars):
        return dollars(cell.nanousd)
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return guarded(cell) if isinstance(cell, str) else str(cell)


def _json_cell(cell: Cell | Dollars) -> str:
    return dollars(cell.nanousd) if isinstance(cell, Dollars) else json.dumps(cell, ensure_ascii=False)
