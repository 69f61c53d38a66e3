"""The static files. An address with a version never changes its content, so browsers keep it."""

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from stats_service.pages.rendering import STATIC


class Assets(StaticFiles):
    """Files with a long life where the address has a version."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        kept = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        return response
