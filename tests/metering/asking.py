"""Requests and rows of the tests of estimates, in few words."""

import json
from functools import cache
from pathlib import Path

from metering.asks import Ask, Family, read_ask
from metering.pricing import PriceBook, PriceRow


@cache
def book() -> PriceBook:
    return PriceBook.load(Path(__file__).with_name("estimates_book.yaml"))


def row(name: str) -> PriceRow:
    found = book().find(name, 0)
    assert found is not None, name
    return found


def fallback() -> PriceRow:
    return book().fallback(0)


def encoded(body: dict[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def ask_of(family: Family, **body: object) -> Ask:
    return read_ask(family, body, len(encoded(body)))


def chat(content: object = "Say hello.", **fields: object) -> Ask:
    return ask_of(
        Family.CHAT, **{"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **fields}
    )


def responses(given: object = "Say hello.", **fields: object) -> Ask:
    return ask_of(Family.RESPONSES, **{"model": "gpt-5", "input": given, **fields})
