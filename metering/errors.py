"""What can go wrong in the shared core. The edges word the messages; the errors carry the facts.

MeteringError
 ├ SettingError      a setting from the environment or `.env` cannot be used
 ├ PriceBookError    the price book cannot be used; says where
 ├ StoreError        the database refused or failed; says what was tried and what to do
 ├ FieldError        a field that an administrator sent is not acceptable (422)
 ├ BodyError         a client's request body is not acceptable (400)
 └ LimiterNotFound   no limiter has this id, or it was deleted (404)
"""


class MeteringError(Exception):
    """Root of everything that this package raises on purpose."""


class SettingError(MeteringError):
    """A setting cannot be used."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name
        self.reason = reason


class PriceBookError(MeteringError):
    """The price book cannot be used. `line` counts from 1, or is None when no line is to blame."""

    def __init__(self, path: str, line: int | None, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if line is None else f"{path}, line {line}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


class StoreError(MeteringError):
    """The database refused or failed. Nothing of the operation was kept."""

    def __init__(self, operation: str, reason: str, hint: str = "") -> None:
        super().__init__(f"Cannot {operation}: {reason}. {hint}".rstrip())
        self.operation = operation
        self.reason = reason
        self.hint = hint


class FieldError(MeteringError):
    """A field is not acceptable. `reason` completes a sentence that starts with the field's name."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


class BodyError(MeteringError):
    """A request body is not acceptable. `reason` is a whole sentence for the caller of the API."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LimiterNotFound(MeteringError):
    """No limiter has this id, or it was deleted."""

    def __init__(self, limiter: str) -> None:
        super().__init__(f"There is no limiter {limiter}.")
        self.limiter = limiter
