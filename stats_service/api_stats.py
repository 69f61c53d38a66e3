"""`GET /api/stats`: sums of a range of whole UTC days, by user, by limiter, by model and over time.

The rollups know hours of models and days of users, so that all parts of one answer are about the same days: a range is
widened to the days that it touches, and the answer says which. Users come dearest first, at most `limit` of them.
"""

from collections.abc import Mapping
from heapq import nsmallest

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from metering.clock import DAY_US, parse_time, rfc3339
from metering.reports import Names, RangeSums, Sums, UserKey, bucket_us, read_names, step_us
from stats_service import answers
from stats_service.answers import Fields
from stats_service.json_text import Dollars
from stats_service.reading import invalid, parameters, whole
from stats_service.services import ServiceParts

DAYS = 30
DAYS_MAX = 3_660
USERS = 1_000
USERS_MAX = 10_000
_FIRST_US = 0
_LAST_US = parse_time("9999-01-01")
_DATE = len("2026-11-24")


async def stats(parts: ServiceParts, request: Request) -> Response:
    """The sums; the last 30 days where nothing else is asked for."""
    given = parameters(request, ("from", "to", "limit", "offset"))
    now_us = parts.clock()
    from_us, to_us = days(given, now_us)
    limit = whole(given, "limit", 0, USERS_MAX, USERS)
    offset = whole(given, "offset", 0, 10**9, 0)

    def read() -> Response:
        sums = parts.ranges.sums(from_us, to_us, now_us)
        is_fine = bucket_us(from_us, to_us) <= DAY_US
        costs = sums.costs if is_fine else parts.ranges.day_costs(from_us, to_us, now_us)
        with parts.ranges.reader() as connection:
            names = read_names(connection)
        dearest = nsmallest(offset + limit, sums.users.items(), key=_dearest_first)[offset:]
        return answers.json(
            {
                "from": rfc3339(from_us),
                "to": rfc3339(to_us),
                "totals": _totals(sums),
                "users": [_user(key, one, sums, names) for key, one in dearest],
                "users_total": len(sums.users),
                "limiters": _limiters(sums, names),
                "models": [
                    {"model": model, **_sums(one)}
                    for model, one in sorted(sums.models.items(), key=_dearest_first)
                ],
                "series": _series(costs, from_us, to_us),
            }
        )

    return await run_in_threadpool(read)


def days(given: Mapping[str, str], now_us: int) -> tuple[int, int]:
    """The whole days that are asked for, the second moment excluded. A date as `to` is the last day. Raises ApiError."""
    moments = {name: _moment(name, given[name]) for name in ("from", "to") if name in given}
    tomorrow_us = now_us - now_us % DAY_US + DAY_US
    to_us = moments.get("to", max(tomorrow_us, moments.get("from", 0) + 1))
    to_us += -to_us % DAY_US
    if 0 < len(given.get("to", "").strip()) <= _DATE:
        to_us += DAY_US
    from_us = moments.get("from", max(to_us - DAYS * DAY_US, 0))
    from_us -= from_us % DAY_US
    if from_us >= to_us:
        raise invalid("from", "must be before to")
    if to_us - from_us > DAYS_MAX * DAY_US:
        raise invalid("from", f"must be at most {DAYS_MAX} days before to")
    return from_us, to_us


def _moment(name: str, text: str) -> int:
    # The plus of an offset is a space in an address, unless somebody thought of that.
    stamp = text.replace(" ", "+") if "T" in text else text
    try:
        moment = parse_time(stamp)
    except (ValueError, OverflowError):
        moment = -1
    if not _FIRST_US <= moment < _LAST_US:
        raise invalid(name, "must be a date such as 2026-11-24 or a time such as 2026-11-24T08:00:00Z")
    return moment


def _totals(sums: RangeSums) -> Fields:
    requests, prompt, completion, cost = sums.total
    return {
        "total_requests": requests,
        "total_tokens": prompt + completion,
        "total_cost": Dollars(cost),
        "active_users": len(sums.active_users),
    }


def _user(key: UserKey, one: Sums, sums: RangeSums, names: Names) -> Fields:
    limiter, user = key
    return {
        "user": user,
        **_limiter(limiter, names),
        **_sums(one),
        "last_request_at": rfc3339(sums.last_us[key]),
    }


def _limiters(sums: RangeSums, names: Names) -> list[Fields]:
    last_us = sums.last_by_limiter
    return [
        {
            **_limiter(limiter, names),
            **_sums(one),
            "last_request_at": rfc3339(last_us[limiter]) if limiter in last_us else None,
        }
        for limiter, one in sorted(sums.limiters.items(), key=_dearest_first)
    ]


def _limiter(limiter: int, names: Names) -> Fields:
    identity, name, is_deleted = names[limiter]
    return {"limiter_id": identity, "limiter_name": name, "limiter_deleted": is_deleted}


def _sums(one: Sums) -> Fields:
    requests, prompt, completion, cost = one
    return {
        "total_requests": requests,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "total_cost": Dollars(cost),
    }


def _series(found: Mapping[int, int], from_us: int, to_us: int) -> list[Fields]:
    """Spend by hour of at most two days, else by day; hours and days without spend are there, too."""
    step = step_us(from_us, to_us)
    costs = dict.fromkeys(range(from_us, to_us, step), 0)
    for start_us, cost in found.items():
        # Parts of a range may have been read by the hour where the whole is shown by the day.
        costs[start_us - start_us % step] += cost
    return [
        {"start": rfc3339(start_us), "end": rfc3339(start_us + step), "total_cost": Dollars(cost)}
        for start_us, cost in costs.items()
    ]


def _dearest_first[K: (int, str, UserKey)](entry: tuple[K, Sums]) -> tuple[int, K]:
    return (-entry[1][3], entry[0])
