"""Answers of the API: JSON with exact amounts, and one shape for all errors."""

from starlette.responses import Response

from stats_service import json_text

Fields = dict[str, object]


def json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The value as JSON."""
    return Response(json_text.write(value), status, headers, media_type="application/json")


def error(
    status: int, code: str, message: str, field: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    """`{"error": {"code", "message", "field"?}}`."""
    # A name that somebody made up may hold half a character, which no text in UTF-8 can.
    fault: Fields = {"code": code, "message": message.encode("utf-8", "replace").decode()}
    if field is not None:
        fault["field"] = field.encode("utf-8", "replace").decode()
    return json({"error": fault}, status, headers)


class ApiError(Exception):
    """Ends a request with an error; raised where reading it shows that it cannot be served."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field

    @property
    def response(self) -> Response:
        return error(self.status, self.code, self.message, self.field)
