"""The schema's history: named functions, the oldest first. None is changed once it is released.

Plain tables are built with sqlite-utils. Those that carry money are written out, because their checks, partial indexes
and row layout have no form there. All of them are STRICT.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables


def m001_limiters(tables: "Tables") -> None:
    """Limiters, and every code that was ever handed out, so that none is used twice."""
    columns: dict[str, type] = {
        "key": int,
        "id": str,
        "code": str,
        "name": str,
        "budget_nanousd": int,
        "period": str,
        "base_url": str,
        "is_active": int,
        "enforcement": str,
        "unpriced": str,
        "allow_unmetered": int,
        "hide_amounts": int,
        "model_map": str,
        "created_at_us": int,
        "updated_at_us": int,
        "deleted_at_us": int,
        "version": int,
    }
    limiters = tables.create_table(
        "limiters", columns, pk="key", not_null=set(columns) - {"key", "deleted_at_us"}, strict=True
    )
    limiters.create_index(["id"], unique=True)
    limiters.create_index(["code"], unique=True)
    tables.create_table(
        "codes",
        {"code": str, "limiter": int, "issued_at_us": int},
        pk="code",
        not_null=["limiter", "issued_at_us"],
        foreign_keys=[("limiter", "limiters", "key")],
        strict=True,
    )


def m002_requests(tables: "Tables") -> None:
    """One row per call, held and then resolved; cost is absent exactly while it is held."""
    tables.conn.execute("""
        create table requests (
            id integer primary key,
            limiter integer not null references limiters (key),
            worker text not null,
            state text not null check (state in ('held', 'settled', 'released', 'expired')),
            mode text not null,
            admitted_at_us integer not null,
            finished_at_us integer,
            user text not null,
            user_grouped integer not null default 0,
            model text not null,
            model_served text,
            endpoint text not null,
            streamed integer not null,
            status integer,
            hold_nanousd integer not null check (hold_nanousd >= 0),
            cost_nanousd integer check (cost_nanousd >= 0),
            basis text,
            price_row text not null,
            over_budget integer not null default 0,
            bound_exceeded integer not null default 0,
            provider_cost_nanousd integer,
            input_tokens integer not null default 0,
            cached_tokens integer not null default 0,
            cache_write_tokens integer not null default 0,
            cache_write_long_tokens integer not null default 0,
            input_audio_tokens integer not null default 0,
            input_image_tokens integer not null default 0,
            cached_audio_tokens integer not null default 0,
            cached_image_tokens integer not null default 0,
            output_tokens integer not null default 0,
            reasoning_tokens integer not null default 0,
            output_audio_tokens integer not null default 0,
            output_image_tokens integer not null default 0,
            duration_ms integer not null default 0,
            characters integer not null default 0,
            images integer not null default 0,
            image_size text,
            image_quality text,
            web_searches integer not null default 0,
            file_searches integer not null default 0,
            code_sessions integer not null default 0,
            check ((state = 'held') = (cost_nanousd is null)),
            check ((state = 'held') = (finished_at_us is null))
        ) strict""")
    tables.conn.execute("create index requests_by_time on requests (limiter, admitted_at_us)")
    tables.conn.execute("create index requests_held on requests (worker) where state = 'held'")


def m003_projections(tables: "Tables") -> None:
    """Sums over the requests: the current window of each limiter, and what the reports read."""
    counted = """
            requests integer not null,
            input_tokens integer not null,
            cached_tokens integer not null,
            output_tokens integer not null,
            reasoning_tokens integer not null,
            cost_nanousd integer not null,
            estimated integer not null,
            fallback integer not null,
            unmetered integer not null,"""
    tables.conn.execute("""
        create table windows (
            limiter integer not null references limiters (key),
            start_us integer not null,
            end_us integer not null,
            spent_nanousd integer not null,
            held_nanousd integer not null,
            requests integer not null,
            tokens integer not null,
            primary key (limiter, start_us)
        ) strict, without rowid""")
    tables.conn.execute(f"""
        create table model_hours (
            limiter integer not null references limiters (key),
            hour_us integer not null,
            model text not null,{counted}
            primary key (limiter, hour_us, model)
        ) strict, without rowid""")
    tables.conn.execute(f"""
        create table user_days (
            limiter integer not null references limiters (key),
            day_us integer not null,
            user text not null,{counted}
            last_request_at_us integer not null,
            primary key (limiter, day_us, user)
        ) strict, without rowid""")


def m004_counts(tables: "Tables") -> None:
    """Refusals by hour, what was learned of a model, and the moment before which rows may be gone."""
    tables.conn.execute("""
        create table refusals (
            limiter integer not null references limiters (key),
            hour_us integer not null,
            code text not null,
            count integer not null,
            primary key (limiter, hour_us, code)
        ) strict, without rowid""")
    tables.conn.execute("""
        create table learned (
            limiter integer not null references limiters (key),
            model text not null,
            output_tokens integer not null,
            input_ratio_ppm integer not null,
            primary key (limiter, model)
        ) strict, without rowid""")
    tables.create_table(
        "retention", {"id": int, "watermark_us": int}, pk="id", not_null=["watermark_us"], strict=True
    )
    tables.conn.execute("insert into retention values (1, 0)")


def m005_known_keys(tables: "Tables") -> None:
    """Fingerprints of the client keys that an upstream has taken."""
    tables.conn.execute("""
        create table known_keys (
            limiter integer not null references limiters (key),
            key text not null,
            primary key (limiter, key)
        ) strict, without rowid""")


def m006_unpriced_models(tables: "Tables") -> None:
    """Which models were refused for the want of a price."""
    tables.conn.execute("""
        create table unpriced_models (
            limiter integer not null references limiters (key),
            model text not null,
            count integer not null,
            last_us integer not null,
            primary key (limiter, model)
        ) strict, without rowid""")
    tables.conn.execute("create index unpriced_models_by_time on unpriced_models (last_us)")


def m007_ended_sessions(tables: "Tables") -> None:
    """Sessions of the dashboard that were signed out before their time."""
    tables.create_table(
        "ended_sessions", {"id": str, "until_s": int}, pk="id", not_null=["until_s"], strict=True
    )


MIGRATIONS: list[Callable[["Tables"], None]] = [
    m001_limiters,
    m002_requests,
    m003_projections,
    m004_counts,
    m005_known_keys,
    m006_unpriced_models,
    m007_ended_sessions,
]
