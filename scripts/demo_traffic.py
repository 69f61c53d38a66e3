"""Two months of plausible traffic, written through the ledger itself: what the demo and the screenshots show.

The same seed gives the same calls. Traffic follows the working day, each limiter has its own models and users, and
budgets refuse as they do in earnest: what the ledger refuses is counted as refused. Costs come from the price book.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal

from metering.clock import DAY_US, HOUR_US, SECOND_US, at
from metering.database import Database
from metering.entries import Admission, Admitted, Refused, Settlement
from metering.ledger import Ledger
from metering.limiters import Limiter, Limiters
from metering.money import NANO
from metering.pricing import PriceBook, cost
from metering.usage import Usage
from metering.windows import read_window

WORKER = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A limiter and how it is used."""

    name: str
    budget: str
    period: str
    calls_a_day: float
    models: Sequence[str]
    users: Sequence[str]
    input_tokens: int = 1_200
    output_tokens: int = 350
    enforcement: str = "soft"
    always: bool = False
    """Machines do not sleep: no working day, no weekend."""
    ends_days_ago: float = 0.0
    is_active: bool = True
    fills: float | None = None
    """How full its budget shall be at the end, so that each state of the page is there at any hour."""


TENANTS = (
    Tenant(name="Acme Corp", budget="40", period="day", calls_a_day=320, models=("gpt-6.2-sol", "gpt-5.4-mini", "gpt-4o-mini"),
           users=("amara", "ben", "chen", "dora", "emil", "fatima"), input_tokens=9_000, output_tokens=1_900),
    Tenant(name="Globex Pro plan", budget="6", period="day", calls_a_day=260, models=("gpt-4o", "gpt-4o-mini"),
           users=("globex-web", "globex-mobile", "globex-api"), input_tokens=4_200, output_tokens=900, fills=0.88),
    Tenant(name="Initech Free tier", budget="0.25", period="day", calls_a_day=90, models=("gpt-4o-mini", "gpt-5-nano"),
           users=("peter", "samir", "michael"), input_tokens=12_000, output_tokens=4_000, fills=1.0),
    Tenant(name="Research department", budget="900", period="month", calls_a_day=140, models=("gpt-6.2-sol", "gpt-5.6-sol", "gpt-4.1"),
           users=("dr-lovelace", "dr-noether", "dr-franklin", "dr-curie"), input_tokens=22_000, output_tokens=4_200),
    Tenant(name="Support chatbot", budget="60", period="week", calls_a_day=420, models=("gpt-5.4-mini", "gpt-4.1-mini"),
           users=tuple(f"visitor-{number}" for number in range(1, 60)), input_tokens=6_500, output_tokens=700, always=True),
    Tenant(name="Coding agents in CI", budget="25", period="day", calls_a_day=75, models=("gpt-5.3-codex", "gpt-6.2-sol"),
           users=("ci-main", "ci-pull-requests"), input_tokens=60_000, output_tokens=6_000, enforcement="strict", fills=0.6),
    Tenant(name="Nightly summaries", budget="2", period="hour", calls_a_day=90, models=("gpt-5.4-mini",),
           users=("cron",), input_tokens=30_000, output_tokens=1_500, always=True),
    Tenant(name="Marketing", budget="120", period="month", calls_a_day=40, models=("gpt-4o", "gpt-6.2-sol"),
           users=("hana", "igor"), input_tokens=3_000, output_tokens=2_200),
    Tenant(name="Search index", budget="30", period="month", calls_a_day=160, models=("text-embedding-3-large",),
           users=("indexer",), input_tokens=24_000, output_tokens=0, always=True),
    Tenant(name="Playground", budget="0.02", period="minute", calls_a_day=45, models=("gpt-4o", "gpt-5-nano"),
           users=("key-9f2c41d07b1e", "key-03ab99c4d2f6"), enforcement="observe"),
    Tenant(name="Board assistant", budget="2500", period="year", calls_a_day=18, models=("gpt-6.2-sol",),
           users=("board",), input_tokens=35_000, output_tokens=3_000),
    Tenant(name="Summer interns", budget="10", period="week", calls_a_day=60, models=("gpt-4o-mini",),
           users=("noor", "otto"), ends_days_ago=12, is_active=False),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a tenant at a moment."""

    at_us: int
    limiter: Limiter
    tenant: Tenant
    user: str
    model: str
    endpoint: str
    streamed: bool
    usage: Usage
    latency_us: int
    fails: bool


def create(limiters: Limiters, tenants: Sequence[Tenant], base_url: str) -> list[tuple[Tenant, Limiter]]:
    """The limiters of the demo; the list shows the newest first, so the first tenant is created last."""
    pairs = [
        (
            tenant,
            limiters.create(
                name=tenant.name,
                budget_limit=Decimal(tenant.budget),
                period_type=tenant.period,
                enforcement=tenant.enforcement,
                base_url=base_url,
            ),
        )
        for tenant in reversed(tenants)
    ]
    return pairs[::-1]


def seed(
    database: Database,
    book: PriceBook,
    pairs: Sequence[tuple[Tenant, Limiter]],
    now_us: int,
    *,
    days: int = 60,
    seed: int = 7,
) -> int:
    """Write the traffic of the days before `now_us`; returns how many calls were charged."""
    chance = random.Random(seed)
    calls = sorted(
        (call for tenant, limiter in pairs for call in _calls_of(chance, tenant, limiter, now_us, days)),
        key=lambda call: call.at_us,
    )
    charged = 0
    with Ledger(database, WORKER) as ledger:
        # A demo may be lost in a power cut, and two months of commits with an fsync each would take minutes.
        ledger.connection.execute("pragma synchronous = off")
        for hour in _by_hour(calls):
            charged += _write(ledger, book, hour)
        ledger.connection.execute("pragma synchronous = full")
        ledger.checkpoint()
    return charged


def fit(limiters: Limiters, database: Database, pairs: Sequence[tuple[Tenant, Limiter]], now_us: int) -> None:
    """Change some budgets so that they are as full as their tenants say; switch off who is inactive."""
    for tenant, limiter in pairs:
        if not tenant.is_active:
            limiters.update(limiter.id, is_active=False)
        if tenant.fills is None:
            continue
        with closing(database.open_reader()) as connection:
            used = read_window(connection, limiter.key, limiter.period, now_us).used_nanousd
        budget = int(used / tenant.fills)
        # Two digits, as a person would choose it: rounded down for a budget that is to be used up.
        unit = 10 ** max(len(str(budget)) - 2, 0)
        rounded = budget // unit * unit if tenant.fills >= 1 else -(-budget // unit) * unit
        if rounded:
            limiters.update(limiter.id, budget_limit=Decimal(rounded) / NANO)


def one_call(chance: random.Random, tenant: Tenant, limiter: Limiter, at_us: int) -> Call:
    """A call such as this tenant makes."""
    model = chance.choices(tenant.models, weights=[1 / (place + 1) for place in range(len(tenant.models))])[0]
    user = chance.choices(tenant.users, weights=[1 / (place + 1) for place in range(len(tenant.users))])[0]
    embeds = "embedding" in model
    spread = math.exp(chance.gauss(0, 0.7))
    asked = max(int(tenant.input_tokens * spread), 8)
    answered = 0 if embeds else max(int(tenant.output_tokens * math.exp(chance.gauss(0, 0.6))), 4)
    reasons = model.startswith(("gpt-5", "gpt-6"))
    usage = Usage(
        input_tokens=asked,
        cached_tokens=int(asked * chance.choice((0, 0, 0, 0.3, 0.6, 0.8))) if asked > 1_024 else 0,
        output_tokens=answered,
        reasoning_tokens=int(answered * chance.uniform(0.2, 0.6)) if reasons else 0,
    )
    endpoint = (
        "embeddings" if embeds else ("responses" if reasons and chance.random() < 0.6 else "chat/completions")
    )
    return Call(
        at_us=at_us,
        limiter=limiter,
        tenant=tenant,
        user=user,
        model=model,
        endpoint=endpoint,
        streamed=not embeds and chance.random() < 0.55,
        usage=usage,
        latency_us=int((0.4 + answered / 90) * SECOND_US * chance.uniform(0.7, 1.4)),
        fails=chance.random() < 0.008,
    )


def _calls_of(
    chance: random.Random, tenant: Tenant, limiter: Limiter, now_us: int, days: int
) -> Iterator[Call]:
    for day in range(days, -1, -1):
        if day < tenant.ends_days_ago:
            return
        midnight = now_us - now_us % DAY_US - day * DAY_US
        weekend = at(midnight).weekday() >= 5 and not tenant.always
        growth = 1 - 0.012 * day
        expected = tenant.calls_a_day * growth * (0.25 if weekend else 1.0) * math.exp(chance.gauss(0, 0.18))
        for _ in range(int(expected)):
            moment = midnight + _moment_of_day(chance, tenant.always)
            if moment < now_us:
                yield one_call(chance, tenant, limiter, moment)


def _moment_of_day(chance: random.Random, always: bool) -> int:
    if always:
        return chance.randrange(DAY_US)
    hour = chance.gauss(10.5, 2.4) if chance.random() < 0.55 else chance.gauss(15.5, 2.6)
    return int(hour * HOUR_US) % DAY_US


def _by_hour(calls: Sequence[Call]) -> Iterator[list[Call]]:
    group: list[Call] = []
    for call in calls:
        if group and call.at_us // HOUR_US != group[0].at_us // HOUR_US:
            yield group
            group = []
        group.append(call)
    if group:
        yield group


def _write(ledger: Ledger, book: PriceBook, calls: Sequence[Call]) -> int:
    """One transaction for an hour of calls. Each call has its own moment, which a batch otherwise reads once."""
    charged = 0
    refused: Counter[tuple[int, str]] = Counter()
    with ledger.batch(lambda: calls[0].at_us) as batch:
        for call in calls:
            batch.now_us = call.at_us
            row = book.find(call.model, call.at_us)
            if row is None:
                raise SystemExit(f"The demo uses {call.model}, which has no price.")
            price = cost(row, call.usage, fallback=book.fallback(call.at_us)).nanousd
            answer = batch.admit(_admission(call, row.key, price))
            if isinstance(answer, Refused):
                refused[call.limiter.key, answer.code] += 1
            elif isinstance(answer, Admitted):
                batch.now_us = call.at_us + call.latency_us
                if call.fails:
                    batch.release(answer.request_id, 502)
                else:
                    batch.settle(_settlement(call, answer.request_id, row.key, price))
                    charged += 1
        batch.now_us = calls[0].at_us
        batch.count_refusals(refused)
    return charged


def _admission(call: Call, price_row: str, price: int) -> Admission:
    mode = call.tenant.enforcement
    return Admission(
        limiter_key=call.limiter.key,
        limiter_version=call.limiter.version,
        user=call.user,
        model=call.model,
        endpoint=call.endpoint,
        streamed=call.streamed,
        hold_nanousd=price + price // 4,
        mode="strict" if mode == "strict" else "observe" if mode == "observe" else "soft",
        price_row=price_row,
    )


def _settlement(call: Call, request_id: int, price_row: str, price: int) -> Settlement:
    cut = call.streamed and call.at_us % 97 == 0
    return Settlement(
        request_id=request_id,
        cost_nanousd=price,
        basis="estimated" if cut else "reported",
        usage=call.usage,
        model_served=call.model,
        price_row=price_row,
        status=200,
    )


def many(count: int) -> tuple[Tenant, ...]:
    """Tenants for a page with a lot of them, their names of every length."""
    kinds = ("Team", "Customer", "Project", "Agent", "Department of long and winding names, section")
    return tuple(
        replace(
            TENANTS[number % len(TENANTS)],
            name=f"{kinds[number % len(kinds)]} {number:03d}",
            calls_a_day=1 + number % 7,
            ends_days_ago=0,
            is_active=True,
        )
        for number in range(1, count + 1)
    )


def pause_us(chance: random.Random) -> int:
    """How long a caller waits before his next live call: often enough to watch, seldom enough beside two months."""
    return int(min(chance.expovariate(0.4), 6) * SECOND_US)
