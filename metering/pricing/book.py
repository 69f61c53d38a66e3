"""The price book: models by their names on the wire, and the row that was in force at a moment."""

import re
from collections.abc import Sequence
from pathlib import Path

from metering.pricing.load import Contents, read_contents
from metering.pricing.model import Model
from metering.pricing.names import spellings, undated
from metering.pricing.row import PriceRow


class PriceBook:
    """Immutable once loaded; a changed file makes a new one."""

    def __init__(self, path: Path, contents: Contents, loaded_at_us: int) -> None:
        self.path = path
        self.loaded_at_us = loaded_at_us
        self._models = contents.models
        self._fallback = contents.fallback
        names = [(name, model) for model in contents.models for name in (model.name, *model.aliases)]
        self._by_name = {name: model for name, model in names if "*" not in name}
        # The pattern with the most letters of its own is the most particular one.
        self._patterns = sorted(
            ((_pattern(name), model) for name, model in names if "*" in name),
            key=lambda pair: len(pair[0].pattern),
            reverse=True,
        )
        self._snapshots: dict[str, list[Model]] = {}
        self._ceilings: dict[tuple[str, ...], PriceRow] = {}
        for name, model in self._by_name.items():
            base = self._by_name.get(undated(name) or "")
            if base is not None and base is not model:
                self._snapshots.setdefault(base.name, []).append(model)

    @classmethod
    def load(cls, path: Path | str, loaded_at_us: int = 0) -> "PriceBook":
        """Read and check a file. Raises PriceBookError(path, line, reason)."""
        path = Path(path)
        return cls(path, read_contents(path), loaded_at_us)

    def find(self, name: str, at_us: int) -> PriceRow | None:
        """The row for a model's name, or None: an unknown model has no price, it is not free.

        In order: the exact name or an alias, a fine-tune's base (`ft:<base>`), the name without its date; all
        of it again without a vendor before the name and a route behind it, then with Azure's missing point;
        last the wildcards that the book spells out.
        """
        model = self._resolve(name)
        return None if model is None else model.at(at_us)

    def dearest(self, name: str, at_us: int) -> PriceRow | None:
        """The most that a call for this name may be billed at: any dated snapshot of it may serve."""
        model = self._resolve(name)
        if model is None:
            return None
        row = model.at(at_us)
        others = [snapshot.at(at_us) for snapshot in self._snapshots.get(model.name, ())]
        if not others:
            return row
        # The same rows are asked for with every call; comparing all their prices takes most of a millisecond.
        key = (row.key, *(other.key for other in others))
        found = self._ceilings.get(key)
        if found is None:
            found = self._ceilings[key] = row.ceiling(others)
        return found

    def fallback(self, at_us: int) -> PriceRow:
        """The row for models without one, where a limiter allows that."""
        return self._fallback.at(at_us)

    def rows(self) -> Sequence[PriceRow]:
        """Every row, by model and date, without the fallback."""
        return [row for model in self._models for row in model.rows]

    def names(self) -> Sequence[str]:
        """Every name and alias that is matched exactly."""
        return list(self._by_name)

    def _resolve(self, name: str) -> Model | None:
        if (known := self._by_name.get(name)) is not None:
            return known
        forms = []
        for form in spellings(name):
            # Nearly always the first one: the others are not even spelt.
            model = self._by_name.get(form)
            if model is not None:
                return model
            forms.append(form)
        for pattern, model in self._patterns:
            if any(pattern.fullmatch(form) for form in forms):
                return model
        return None


def _pattern(name: str) -> re.Pattern[str]:
    """A wildcard stands for anything, the empty text included."""
    return re.compile(".*".join(map(re.escape, name.split("*"))))
