"""The limiters over the API: create, list, read, change, rotate the code, delete."""

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from metering.clock import rfc3339
from metering.limiters import Limiter
from stats_service import answers
from stats_service.answers import Fields
from stats_service.json_text import Dollars
from stats_service.reading import invalid, json_object
from stats_service.services import ServiceParts

SETTABLE = (
    "name",
    "budget_limit",
    "period_type",
    "base_url",
    "is_active",
    "enforcement",
    "unpriced",
    "allow_unmetered",
    "hide_amounts",
    "model_map",
)
READ_ONLY = ("id", "code", "proxy_url", "created_at", "updated_at")


async def create(parts: ServiceParts, request: Request) -> Response:
    """201 and the limiter."""
    given = _settable(await json_object(request))
    limiter = await run_in_threadpool(lambda: parts.limiters.create(**given))
    path = f"/api/limiters/{limiter.id}"
    return answers.json(worded(parts, limiter), 201, {"Location": path})


async def every(parts: ServiceParts, _: Request) -> Response:
    """An array, in the order of creation."""

    def read() -> Response:
        return answers.json([worded(parts, limiter) for limiter in parts.limiters.list()])

    return await run_in_threadpool(read)


async def one(parts: ServiceParts, request: Request) -> Response:
    """The limiter."""
    return answers.json(worded(parts, await run_in_threadpool(parts.limiters.get, id_of(request))))


async def change(parts: ServiceParts, request: Request) -> Response:
    """Any subset of the fields; in force on the proxy's next admission."""
    changes = _settable(await json_object(request))
    limiter = await run_in_threadpool(lambda: parts.limiters.update(id_of(request), **changes))
    return answers.json(worded(parts, limiter))


async def rotate(parts: ServiceParts, request: Request) -> Response:
    """The limiter with a new code; the old one is refused from now on."""
    return answers.json(worded(parts, await run_in_threadpool(parts.limiters.rotate_code, id_of(request))))


async def delete(parts: ServiceParts, request: Request) -> Response:
    """204; its history stays."""
    await run_in_threadpool(parts.limiters.delete, id_of(request))
    return Response(status_code=204)


def id_of(request: Request) -> str:
    """The limiter that the address names."""
    return str(request.path_params["id"])


def worded(parts: ServiceParts, limiter: Limiter) -> Fields:
    """A limiter as the API shows it."""
    return {
        "id": limiter.id,
        "code": limiter.code,
        "proxy_url": f"{parts.settings.public_proxy_url}/v1/{limiter.code}",
        "name": limiter.name,
        "budget_limit": Dollars(limiter.budget_nanousd),
        "period_type": limiter.period.value,
        "base_url": limiter.base_url,
        "is_active": limiter.is_active,
        "enforcement": limiter.enforcement,
        "unpriced": limiter.unpriced,
        "allow_unmetered": limiter.allow_unmetered,
        "hide_amounts": limiter.hide_amounts,
        "model_map": dict(limiter.model_map),
        "created_at": rfc3339(limiter.created_at_us),
        "updated_at": rfc3339(limiter.updated_at_us),
    }


def _settable(given: Mapping[str, object]) -> dict[str, object]:
    for name in given:
        if name not in SETTABLE:
            raise invalid(name, "cannot be set" if name in READ_ONLY else "is not a field of a limiter")
    return dict(given)
