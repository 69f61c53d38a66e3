"""Figures over the API: the window, the calls, and the sums of a range, all equal to what the ledger holds."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from starlette.testclient import TestClient

from metering.clock import DAY_US, HOUR_US, parse_time, rfc3339
from tests.stats_service.service import NOON, Service, create, exact, refused, signed_in

MICRO = 1_000


def stats_of(admin: TestClient, limiter: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = exact(admin.get(f"/api/limiters/{limiter['id']}/stats"))
    return found


def test_a_fresh_limiter_has_spent_nothing(admin: TestClient) -> None:
    limiter = create(admin)
    assert stats_of(admin, limiter) == {
        "limiter_id": limiter["id"],
        "limiter_name": "Customer A",
        "current_spend": 0,
        "held": 0,
        "budget_limit": 20,
        "remaining_budget": 20,
        "usage_percentage": 0,
        "total_requests": 0,
        "period_start": "2026-11-24T00:00:00Z",
        "period_end": "2026-11-25T00:00:00Z",
    }


def test_spend_and_holds_are_told_apart_and_both_count(service: Service, admin: TestClient) -> None:
    limiter = create(admin, "20")
    service.spend(limiter["id"], 5_000_000_001)
    service.hold(limiter["id"], 2_500_000_000)
    service.release(limiter["id"])

    stats = stats_of(admin, limiter)
    assert stats["current_spend"] == Decimal("5.000000001")
    assert stats["held"] == Decimal("2.5")
    assert stats["remaining_budget"] == Decimal("12.499999999")
    assert stats["usage_percentage"] == Decimal("37.5")
    assert stats["total_requests"] == 2


@pytest.mark.parametrize(
    ("budget", "spent", "percent", "left"),
    [
        ("20", 20_500_000_000, "102.5", "0"),
        ("3", 1_000_000_000, "33.3333", "2"),
        ("3", 2_000_000_000, "66.6667", "1"),
        ("0", 1, "100", "0"),
        ("1000000000", 1, "0", "999999999.999999999"),
        ("0.000000001", 1, "100", "0"),
    ],
)
def test_the_percentage_has_four_places_and_nothing_is_left_below_zero(
    service: Service, admin: TestClient, budget: str, spent: int, percent: str, left: str
) -> None:
    limiter = create(admin, budget)
    service.spend(limiter["id"], spent)
    stats = stats_of(admin, limiter)
    assert stats["usage_percentage"] == Decimal(percent)
    assert stats["remaining_budget"] == Decimal(left)


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("minute", "2026-11-24T12:00:00Z", "2026-11-24T12:01:00Z"),
        ("hour", "2026-11-24T12:00:00Z", "2026-11-24T13:00:00Z"),
        ("day", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"),
        ("week", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        ("month", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("year", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ],
)
def test_a_window_ends_and_the_next_one_is_empty(
    service: Service, admin: TestClient, period: str, start: str, end: str
) -> None:
    limiter = create(admin, period_type=period)
    service.spend(limiter["id"])
    stats = stats_of(admin, limiter)
    assert (stats["period_start"], stats["period_end"]) == (start, end)
    assert stats["current_spend"] == 1

    service.now = parse_time(end)
    # A token lasts a day.
    stats = stats_of(signed_in(admin), limiter)
    assert stats["period_start"] == end
    assert (stats["current_spend"], stats["total_requests"]) == (0, 0)


def test_one_limiter_does_not_move_another(service: Service, admin: TestClient) -> None:
    one, other = create(admin), create(admin, name="Customer B")
    before = stats_of(admin, other)
    service.spend(one["id"])
    admin.put(f"/api/limiters/{one['id']}", json={"period_type": "month", "budget_limit": 1})
    assert stats_of(admin, other) == before


def test_a_call_has_all_its_fields(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    request_id = service.spend(limiter["id"], 1_234_567_891)
    answer = exact(admin.get(f"/api/limiters/{limiter['id']}/usage"))
    assert answer == {
        "data": [
            {
                "id": request_id,
                "started_at": "2026-11-24T12:00:00Z",
                "finished_at": "2026-11-24T12:00:01.500000Z",
                "user": "ann",
                "model": "gpt-4o-2024-08-06",
                "endpoint": "chat/completions",
                "status": 200,
                "streamed": False,
                "state": "settled",
                "prompt_tokens": 1_000,
                "cached_tokens": 100,
                "completion_tokens": 200,
                "reasoning_tokens": 50,
                "total_tokens": 1_200,
                "cost": Decimal("1.234567891"),
                "basis": "reported",
            }
        ],
        "next": None,
    }


def test_a_call_in_flight_has_no_cost_and_no_end_yet(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    service.hold(limiter["id"])
    (call,) = admin.get(f"/api/limiters/{limiter['id']}/usage").json()["data"]
    assert (call["state"], call["cost"], call["finished_at"], call["status"]) == ("held", None, None, None)
    assert call["model"] == "gpt-4o"


def test_calls_come_newest_first_in_pages_that_meet(service: Service, admin: TestClient) -> None:
    limiter, other = create(admin), create(admin, name="Customer B")
    made = []
    for number in range(7):
        # Two at each moment: the id decides between them.
        made.append(service.hold(limiter["id"], at_us=NOON + number // 2))
        service.hold(other["id"], at_us=NOON + number // 2)
    path = f"/api/limiters/{limiter['id']}/usage"
    seen, before = [], ""
    while True:
        page = admin.get(f"{path}?limit=3{before}").json()
        seen.append([call["id"] for call in page["data"]])
        if page["next"] is None:
            break
        before = f"&before={page['next']}"

    assert [len(page) for page in seen] == [3, 3, 1]
    assert [call for page in seen for call in page] == made[::-1]
    assert admin.get(f"{path}?limit=7").json()["next"] is None


def test_a_page_has_fifty_calls_unless_more_are_asked_for(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    for number in range(51):
        service.hold(limiter["id"], at_us=NOON + number)
    path = f"/api/limiters/{limiter['id']}/usage"
    assert len(admin.get(path).json()["data"]) == 50
    assert len(admin.get(f"{path}?limit=500").json()["data"]) == 51


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=²", "limit"),
        ("limit=1&limit=2", "limit"),
        ("before=x", "before"),
        ("before=0", "before"),
        ("before=9223372036854775808", "before"),
        ("after=1", "after"),
    ],
)
def test_a_parameter_of_the_calls_that_makes_no_sense_is_named(
    admin: TestClient, query: str, field: str
) -> None:
    limiter = create(admin)
    refused(admin.get(f"/api/limiters/{limiter['id']}/usage?{query}"), 422, "invalid_field", field)


def test_nothing_is_before_a_call_of_another_limiter(service: Service, admin: TestClient) -> None:
    one, other = create(admin), create(admin, name="Customer B")
    service.hold(one["id"], at_us=NOON)
    foreign = service.hold(other["id"], at_us=NOON + 1)
    for before in (foreign, 10**12):
        page = admin.get(f"/api/limiters/{one['id']}/usage?before={before}").json()
        assert page == {"data": [], "next": None}


def test_the_sums_of_a_range_agree_with_the_calls(service: Service, admin: TestClient) -> None:
    one, other = create(admin), create(admin, name="Customer B")
    service.spend(one["id"], 3 * MICRO, user="ann")
    service.spend(one["id"], 4 * MICRO, user="bob", model="gpt-5-mini", at_us=NOON - DAY_US)
    service.spend(other["id"], 5 * MICRO, user="ann")
    service.release(one["id"])
    service.hold(one["id"])
    admin.delete(f"/api/limiters/{other['id']}")

    stats = exact(admin.get("/api/stats"))

    assert stats["from"] == "2026-10-26T00:00:00Z"
    assert stats["to"] == "2026-11-25T00:00:00Z"
    assert stats["totals"] == {
        "total_requests": 3,
        "total_tokens": 3_600,
        "total_cost": Decimal("0.000012"),
        "active_users": 2,
    }

    def sums(calls: int, cost: str) -> dict[str, Any]:
        return {
            "total_requests": calls,
            "prompt_tokens": 1_000 * calls,
            "completion_tokens": 200 * calls,
            "total_tokens": 1_200 * calls,
            "total_cost": Decimal(cost),
        }

    a = {"limiter_id": one["id"], "limiter_name": "Customer A", "limiter_deleted": False}
    b = {"limiter_id": other["id"], "limiter_name": "Customer B", "limiter_deleted": True}
    today, yesterday = rfc3339(NOON), rfc3339(NOON - DAY_US)
    assert stats["users"] == [
        {"user": "ann", **b, **sums(1, "0.000005"), "last_request_at": today},
        {"user": "bob", **a, **sums(1, "0.000004"), "last_request_at": yesterday},
        {"user": "ann", **a, **sums(1, "0.000003"), "last_request_at": today},
    ]
    assert stats["users_total"] == 3
    assert stats["limiters"] == [
        {**a, **sums(2, "0.000007"), "last_request_at": today},
        {**b, **sums(1, "0.000005"), "last_request_at": today},
    ]
    assert stats["models"] == [
        {"model": "gpt-4o-2024-08-06", **sums(2, "0.000008")},
        {"model": "gpt-5-mini-2024-08-06", **sums(1, "0.000004")},
    ]
    assert len(stats["series"]) == 30
    assert stats["series"][-2:] == [
        {"start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z", "total_cost": Decimal("0.000004")},
        {"start": "2026-11-24T00:00:00Z", "end": "2026-11-25T00:00:00Z", "total_cost": Decimal("0.000008")},
    ]


def test_a_call_is_counted_in_the_next_answer(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    for calls in range(3):
        assert admin.get("/api/stats").json()["totals"]["total_requests"] == calls
        service.spend(limiter["id"])


@pytest.mark.parametrize(
    ("query", "start", "end", "points"),
    [
        ("from=2026-11-24&to=2026-11-24", "2026-11-24", "2026-11-25", 24),
        ("from=2026-11-23&to=2026-11-24", "2026-11-23", "2026-11-25", 48),
        ("from=2026-11-22&to=2026-11-24", "2026-11-22", "2026-11-25", 3),
        ("from=2026-11-24T00:00:00Z&to=2026-11-25T00:00:00Z", "2026-11-24", "2026-11-25", 24),
        ("from=2026-11-24T11:00:00Z&to=2026-11-24T13:00:00Z", "2026-11-24", "2026-11-25", 24),
        ("from=2026-11-24T00:30:00%2B01:00&to=2026-11-24", "2026-11-23", "2026-11-25", 48),
        ("from=2026-11-24T00:30:00+01:00&to=2026-11-24", "2026-11-23", "2026-11-25", 48),
        ("from=2026-11-20", "2026-11-20", "2026-11-25", 5),
        ("to=2026-11-10", "2026-10-12", "2026-11-11", 30),
        ("from=2026-12-24", "2026-12-24", "2026-12-25", 24),
        ("from=2024-02-28&to=2024-03-01", "2024-02-28", "2024-03-02", 3),
        ("to=1970-01-02", "1970-01-01", "1970-01-03", 48),
    ],
)
def test_a_range_is_whole_days_and_says_which(
    admin: TestClient, query: str, start: str, end: str, points: int
) -> None:
    stats = admin.get(f"/api/stats?{query}").json()
    assert (stats["from"], stats["to"]) == (f"{start}T00:00:00Z", f"{end}T00:00:00Z")
    assert len(stats["series"]) == points
    assert stats["series"][0]["start"] == stats["from"]
    assert stats["series"][-1]["end"] == stats["to"]
    assert all(
        one["end"] == other["start"] for one, other in zip(stats["series"], stats["series"][1:], strict=False)
    )


def test_a_series_by_the_hour_puts_spend_into_its_hour(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    service.spend(limiter["id"], MICRO, at_us=NOON - 3 * HOUR_US + 1)
    series = exact(admin.get("/api/stats?from=2026-11-24"))["series"]
    assert [point for point in series if point["total_cost"]] == [
        {"start": "2026-11-24T09:00:00Z", "end": "2026-11-24T10:00:00Z", "total_cost": Decimal("0.000001")}
    ]


def test_what_is_outside_of_the_range_is_not_counted(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    midnight = NOON - NOON % DAY_US
    service.spend(limiter["id"], 1, at_us=midnight - 1)
    service.spend(limiter["id"], 10, at_us=midnight)
    service.spend(limiter["id"], 100, at_us=midnight + DAY_US - 1)
    service.spend(limiter["id"], 1000, at_us=midnight + DAY_US)
    stats = exact(admin.get("/api/stats?from=2026-11-24&to=2026-11-24"))
    assert stats["totals"]["total_cost"] == Decimal("0.00000011")
    assert sum(point["total_cost"] for point in stats["series"]) == Decimal("0.00000011")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=", "from"),
        ("from=2026-13-01", "from"),
        ("from=2026-11-24T10:00:00", "from"),
        ("from=1969-12-31", "from"),
        ("from=99999-01-01", "from"),
        ("to=9999-12-31", "to"),
        ("from=2026-11-24&to=2026-11-23", "from"),
        ("from=2000-01-01&to=2026-01-01", "from"),
        ("form=2026-11-24", "form"),
        ("from=2026-11-24&from=2026-11-23", "from"),
        ("limit=x", "limit"),
        ("limit=10001", "limit"),
        ("offset=-1", "offset"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_by_name(admin: TestClient, query: str, field: str) -> None:
    refused(admin.get(f"/api/stats?{query}"), 422, "invalid_field", field)


def test_users_come_dearest_first_in_pages(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    for number in range(5):
        service.spend(limiter["id"], (number + 1) * MICRO, user=f"user-{number}")
    names = []
    for offset in (0, 2, 4, 6):
        stats = admin.get(f"/api/stats?limit=2&offset={offset}").json()
        assert stats["users_total"] == stats["totals"]["active_users"] == 5
        names.append([row["user"] for row in stats["users"]])
    assert names == [["user-4", "user-3"], ["user-2", "user-1"], ["user-0"], []]


def test_figures_read_while_others_write_are_of_one_moment(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            service.spend(limiter["id"], MICRO)

    writer = threading.Thread(target=work)
    writer.start()
    try:
        for _ in range(30):
            stats = exact(admin.get("/api/stats?from=2026-11-24"))
            assert stats["totals"]["total_cost"] * 10**6 == stats["totals"]["total_requests"]
            assert sum(point["total_cost"] for point in stats["series"]) == stats["totals"]["total_cost"]
            assert sum(row["total_cost"] for row in stats["users"]) == stats["totals"]["total_cost"]
    finally:
        ended.set()
        writer.join(10)
