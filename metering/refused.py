"""What was refused: how often by hour and code, and which models for the want of a price.

A row for each refusal would let a refused client write to our disk at will, so they are added up. Names of models are the
clients' own, so that of each limiter only the latest are kept.
"""

import sqlite3
from collections.abc import Mapping

from metering.clock import HOUR_US

MODELS_MAX = 100
"""Models without a price that are kept of one limiter."""


def count_codes(connection: sqlite3.Connection, counts: Mapping[tuple[int, str], int], now_us: int) -> None:
    """Add to the refusals of the hour, by limiter and code."""
    hour_us = now_us - now_us % HOUR_US
    connection.executemany(
        _COUNT_CODE, [(limiter, hour_us, code, count) for (limiter, code), count in counts.items()]
    )


def count_models(connection: sqlite3.Connection, counts: Mapping[tuple[int, str], int], now_us: int) -> None:
    """Add to the calls that were refused because their model has no price, by limiter and model."""
    connection.executemany(
        _COUNT_MODEL, [(limiter, model, count, now_us) for (limiter, model), count in counts.items()]
    )
    for limiter in {limiter for limiter, _ in counts}:
        connection.execute(_FORGET_MODELS, (limiter, limiter, MODELS_MAX))


_COUNT_CODE = """
    insert into refusals (limiter, hour_us, code, count) values (?, ?, ?, ?)
    on conflict (limiter, hour_us, code) do update set count = count + excluded.count"""
_COUNT_MODEL = """
    insert into unpriced_models (limiter, model, count, last_us) values (?, ?, ?, ?)
    on conflict (limiter, model) do update set count = count + excluded.count, last_us = excluded.last_us"""
_FORGET_MODELS = """
    delete from unpriced_models where limiter = ? and model in (
        select model from unpriced_models where limiter = ? order by last_us desc, count desc limit -1 offset ?)"""
