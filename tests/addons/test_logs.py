"""What is written, and what never is."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from addons import logs
from addons.lines import write_line
from metering.errors import StoreError
from scripts.standin import StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import request

CODE = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def root() -> Iterator[None]:
    """The root logger, put back afterwards."""
    logger = logging.getLogger()
    level, handlers = logger.level, logger.handlers[:]
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer SECRETSECRET",
        "authorization=SECRETSECRET",
        "{'api-key': 'SECRETSECRET'}",
        "x-goog-api-key: SECRETSECRET",
        "sk-proj-SECRETSECRET",
        "GET /v1/models?key=SECRETSECRET&x=1",
        f"GET /v1/{CODE}/chat/completions",
        f"endpoint={CODE}/chat/completions",
    ],
)
def test_what_looks_like_a_key_is_taken_out(text: str) -> None:
    plain = logs.redacted(text)

    assert "SECRET" not in plain
    assert CODE not in plain


def test_the_fingerprint_of_a_key_is_made_to_be_shown() -> None:
    assert logs.redacted("user=key-0123456789ab") == "user=key-0123456789ab"


@pytest.mark.usefixtures("root")
def test_a_line_is_text_or_json() -> None:
    facts = {"limiter": "id-1", "user": "sk-SECRETSECRET", "model": "a b", "tokens": 15, "basis": None}
    texts = {}
    for form in ("text", "json"):
        out = io.StringIO()
        logs.set_up("info", form, out)
        logs.CALLS.info("call", extra={"facts": facts})
        texts[form] = out.getvalue()

    line = json.loads(texts["json"])
    assert (line["limiter"], line["tokens"], line["basis"]) == ("id-1", 15, None)
    assert line["level"] == "info"
    assert line["time"].endswith("Z")
    assert 'calls: call limiter=id-1 user=sk-… model="a b" tokens=15 basis=None' in texts["text"]
    assert "SECRET" not in texts["json"] + texts["text"]


def fail(failure: Exception) -> None:
    raise failure


@pytest.mark.usefixtures("root")
def test_of_a_foreign_failure_only_its_kind_and_places_are_written() -> None:
    out = io.StringIO()
    logs.set_up("info", "text", out)
    for failure in (ValueError("my prompt"), StoreError("read a limiter", "the disk is full")):
        try:
            fail(failure)
        except type(failure):
            logging.getLogger("addons.x").exception("A fault.")

    text = out.getvalue()
    assert "my prompt" not in text
    assert "ValueError" in text
    assert "test_logs.py" in text
    assert "StoreError: Cannot read a limiter: the disk is full." in text


@pytest.mark.usefixtures("root")
def test_others_are_heard_from_warning_on_unless_they_say_what_a_client_sent() -> None:
    out = io.StringIO()
    logs.set_up("debug", "text", out)
    logging.getLogger("python_multipart.multipart").warning("Expected boundary character 45, got 99")
    logging.getLogger("mitmproxy.proxy.server").info("Client closed: b'Authorization: …'")
    logging.getLogger("addons.x").debug("ours")

    assert "Client closed" not in out.getvalue()
    assert "boundary" not in out.getvalue()
    assert "ours" in out.getvalue()


async def test_each_call_has_one_line_without_anything_that_could_be_used(
    proxy: Proxied, upstream: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    await proxy.stop()
    proxy.set(log_level="info", log_format="json")
    await proxy.start()
    limiter = proxy.limiter(upstream)
    message = {"role": "user", "content": "my-secret-prompt"}

    await proxy.chat(limiter, messages=[message])
    await proxy.chat(limiter, model="unheard-of", messages=[message])
    await proxy.until(proxy.is_at_rest)

    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    refused, call = sorted(
        (line for line in lines if line["logger"] == "calls"), key=lambda line: line["state"]
    )
    assert {
        name: call[name] for name in ("limiter", "model", "status", "tokens", "cost", "state", "end")
    } == {
        "limiter": limiter.id,
        "model": "plain",
        "status": 200,
        "tokens": 15,
        "cost": "0.0002",
        "state": "settled",
        "end": "answered",
    }
    assert call["duration"] >= 0
    assert refused.keys() == call.keys()
    assert {
        name: refused[name] for name in ("limiter", "user", "model", "status", "cost", "state", "end")
    } == {
        "limiter": limiter.id,
        "user": call["user"],
        "model": "unheard-of",
        "status": 400,
        "cost": "0",
        "state": "refused",
        "end": "model_not_priced",
    }
    for secret in ("sk-client", "my-secret-prompt", "one two three", limiter.code):
        assert secret not in out


async def test_an_address_that_is_there_twice_does_not_show_its_code(
    proxy: Proxied, upstream: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    await proxy.stop()
    proxy.set(log_level="info")
    await proxy.start()
    limiter = proxy.limiter(upstream)

    for rest in ("chat/completions", "a" * 4_000):
        path = f"/v1/{limiter.code}/v1/{limiter.code}/{rest}"
        assert (await proxy.send(request("POST", path, body=b"{}"))).code == "endpoint_not_metered"

    out = capsys.readouterr().out
    assert out.count("end=endpoint_not_metered") == 2
    assert limiter.code not in out
    assert "a" * 200 not in out


def test_a_line_that_nobody_reads_costs_nothing() -> None:
    logs.CALLS.setLevel(logging.WARNING)
    try:
        # Nothing of the call is looked at.
        write_line(None, None)  # type: ignore[arg-type]
    finally:
        logs.CALLS.setLevel(logging.NOTSET)
