"""Metrics in the text form of Prometheus."""

from __future__ import annotations

import re

from starlette.testclient import TestClient

from metering.clock import DAY_US
from tests.stats_service.service import NOON, Service, create

LINE = re.compile(r'(usage_limiter_\w+)(\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})? (\d+(?:\.\d+)?)')


def samples(admin: TestClient) -> dict[str, str]:
    answer = admin.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            read = LINE.fullmatch(line)
            assert read, line
            assert f"# TYPE {read[1]} gauge" in answer.text
            assert (read[1], read[2]) not in found
            found[f"{read[1].removeprefix('usage_limiter_')}{read[2] or ''}"] = read[3]
    return found


def test_each_limiter_shows_where_it_stands(service: Service, admin: TestClient) -> None:
    limiter = create(admin, "20.000000001", name='Customer "A" \\ é')
    service.spend(limiter["id"], 1_500_000_001)
    service.hold(limiter["id"], 250_000_000)
    idle = create(admin, "0", name="Idle", period_type="month", is_active=False)

    found = samples(admin)

    named = f'{{limiter_id="{limiter["id"]}",limiter="Customer \\"A\\" \\\\ é",period="day"}}'
    assert found[f"budget_dollars{named}"] == "20.000000001"
    assert found[f"spent_dollars{named}"] == "1.500000001"
    assert found[f"held_dollars{named}"] == "0.25"
    assert found[f"window_requests{named}"] == "2"
    assert found[f"window_tokens{named}"] == "1200"
    assert found[f"window_end_seconds{named}"] == str((NOON + DAY_US // 2) // 10**6)
    assert found[f"active{named}"] == "1"
    assert found["calls_in_flight"] == "1"
    assert int(found["price_rows"]) > 100
    assert int(found["database_bytes"]) > 0
    other = f'{{limiter_id="{idle["id"]}",limiter="Idle",period="month"}}'
    assert found[f"spent_dollars{other}"] == found[f"active{other}"] == found[f"budget_dollars{other}"] == "0"


def test_a_new_window_starts_at_nothing(service: Service, admin: TestClient) -> None:
    limiter = create(admin, period_type="hour")
    service.spend(limiter["id"])
    service.now += 3600 * 10**6
    named = f'{{limiter_id="{limiter["id"]}",limiter="Customer A",period="hour"}}'
    assert samples(admin)[f"spent_dollars{named}"] == "0"


def test_a_clock_that_was_set_back_does_not_hide_what_was_spent(service: Service, admin: TestClient) -> None:
    limiter = create(admin, period_type="day")
    service.spend(limiter["id"])
    service.spend(limiter["id"], at_us=NOON + DAY_US)
    named = f'{{limiter_id="{limiter["id"]}",limiter="Customer A",period="day"}}'
    assert samples(admin)[f"spent_dollars{named}"] == "1"


def test_refusals_of_today_are_counted_by_their_code(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    key = service.limiters.get(limiter["id"]).key
    with service.ledger() as ledger:
        ledger.count_refusals({(key, "budget_exceeded"): 7}, NOON - DAY_US)
        ledger.count_refusals({(key, "budget_exceeded"): 2, (key, "model_not_priced"): 1}, NOON)
        ledger.count_refusals({(key, "budget_exceeded"): 3}, NOON - 3600 * 10**6)
    found = {name: value for name, value in samples(admin).items() if name.startswith("refusals")}
    assert found == {
        f'refusals_today{{limiter_id="{limiter["id"]}",code="budget_exceeded"}}': "5",
        f'refusals_today{{limiter_id="{limiter["id"]}",code="model_not_priced"}}': "1",
    }


def test_no_metric_shows_a_code(service: Service, admin: TestClient) -> None:
    limiter = create(admin)
    service.spend(limiter["id"])
    assert limiter["code"] not in admin.get("/metrics").text
