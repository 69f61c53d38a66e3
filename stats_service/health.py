"""`GET /healthz`: whether the service answers and can read its database. Open, and tells nothing else."""

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from metering.errors import StoreError
from stats_service import answers
from stats_service.services import ServiceParts

_log = logging.getLogger(__name__)


async def health(parts: ServiceParts, _: Request) -> Response:
    """200, or 503 where the database cannot be read."""

    def read() -> Response:
        try:
            with parts.ranges.reader() as connection:
                connection.execute("select 1 from limiters limit 1").fetchone()
        except StoreError as failure:
            _log.error("%s", failure)
            return answers.error(
                503, "database_unavailable", "The database cannot be read; the log of the service tells why."
            )
        return answers.json({"status": "ok"})

    return await run_in_threadpool(read)
