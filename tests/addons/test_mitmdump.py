"""`mitmdump -s addons/limiter.py`, literally: a real process, no other flag."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from metering.database import Database
from metering.limiters import Limiter, Limiters
from scripts.standin import Answer, Received, StandIn, ThreadedStandIn
from tests.addons.proxy import PRICES
from tests.addons.wire import COST_NANOUSD, json_answer

ROOT = Path(__file__).resolve().parents[2]
CHAT = {"model": "plain", "messages": [{"role": "user", "content": "Hello"}]}


class Mitmdump:
    """One process."""

    def __init__(self, folder: Path, *arguments: str, script: Path | None = None, **settings: str) -> None:
        with closing(socket.socket()) as one:
            one.bind(("127.0.0.1", 0))
            self.port = int(one.getsockname()[1])
        self.database = Database(folder / "usage.db")
        self.log = folder / "log"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATABASE_URL": f"sqlite:{folder / 'usage.db'}",
            "PRICING_FILE": str(PRICES),
            **settings,
        }
        command = [str(Path(sys.executable).with_name("mitmdump")), "-s", str(script or "addons/limiter.py")]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Until it answers."""
        self.until(self._answers)

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text())
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def until(self, is_so: object) -> None:
        """Ask until something is so."""
        stop = time.monotonic() + 30
        while not is_so():  # type: ignore[operator]
            if time.monotonic() > stop:
                raise TimeoutError(self.log.read_text())
            time.sleep(0.02)

    def limiter(self, upstream: StandIn, **fields: object) -> Limiter:
        limiters = Limiters(self.database)
        return limiters.create(name="A", budget_limit=1, period_type="year", base_url=upstream.url, **fields)

    def states(self) -> list[tuple[str, int | None]]:
        with closing(self.database.open_reader()) as connection:
            return connection.execute("select state, cost_nanousd from requests order by id").fetchall()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@contextmanager
def mitmdump(folder: Path, *arguments: str, **settings: str) -> Iterator[Mitmdump]:
    """A process that answers, ended at the end."""
    one = Mitmdump(folder, *arguments, **settings)
    try:
        one.wait()
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(20)


def test_it_works_without_any_other_flag_and_ends_in_order(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken, ThreadedStandIn(lambda _: json_answer()) as upstream:
        # Where 8080 is taken already, that is as good.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        except OSError:
            pass
        with mitmdump(tmp_path) as proxy:
            limiter = proxy.limiter(upstream)
            headers = {"Authorization": "Bearer sk-secret-key"}
            url = f"{proxy.url}/v1/{limiter.code}/chat/completions"
            answer = httpx.post(url, json=CHAT, headers=headers)
            secret = httpx.post(
                url, json={**CHAT, "messages": [{"role": "user", "content": "my secret"}]}, headers=headers
            )
            unknown = httpx.get(f"{proxy.url}/v1/unknown/models")
            code = proxy.end()

        log = proxy.log.read_text()
        assert (answer.status_code, secret.status_code, unknown.status_code) == (200, 200, 404)
        assert answer.headers["x-request-cost"] == "0.0002"
        assert proxy.states() == [("settled", COST_NANOUSD)] * 2
        assert code == 0, log
        assert f"Proxy: {proxy.url}\n" in log
        assert log.count(f"limiter={limiter.id}") == 2
        assert "model=plain" in log
        assert "status=200 tokens=15 cost=0.0002" in log
        for word in ("secret", limiter.code, "Traceback", "8080"):
            assert word not in log
        assert len(upstream.received) == 2


def test_sigterm_lets_a_call_in_flight_finish(tmp_path: Path) -> None:
    import asyncio

    async def slowly(_: Received) -> Answer:
        await asyncio.sleep(1)
        return json_answer()

    with ThreadedStandIn(slowly) as upstream, mitmdump(tmp_path) as proxy:
        limiter = proxy.limiter(upstream)
        with httpx.Client() as client:
            with closing(socket.create_connection(("127.0.0.1", proxy.port))) as raw:
                body = b'{"model":"plain","messages":[]}'
                raw.sendall(
                    f"POST /v1/{limiter.code}/chat/completions HTTP/1.1\r\nHost: x\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                proxy.until(lambda: bool(upstream.received))
                proxy.process.send_signal(signal.SIGTERM)
                answer = raw.recv(65_536)
                with pytest.raises(httpx.TransportError):
                    client.get(f"{proxy.url}/healthz")
            assert proxy.process.wait(20) == 0

        assert answer.startswith(b"HTTP/1.1 200")
        assert proxy.states() == [("settled", COST_NANOUSD)]


def test_after_a_kill_the_next_process_charges_calls_in_flight_at_their_holds(tmp_path: Path) -> None:
    import asyncio

    async def never(_: Received) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    with ThreadedStandIn(never) as upstream:
        with mitmdump(tmp_path) as proxy, closing(socket.create_connection(("127.0.0.1", proxy.port))) as raw:
            limiter = proxy.limiter(upstream)
            body = b'{"model":"plain","messages":[]}'
            raw.sendall(
                f"POST /v1/{limiter.code}/chat/completions HTTP/1.1\r\nHost: x\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            proxy.until(lambda: bool(upstream.received))
            proxy.process.kill()
            proxy.process.wait(20)
        assert proxy.states() == [("held", None)]
        with mitmdump(tmp_path) as again:
            again.until(lambda: again.states()[0][0] == "expired")
            ((_, cost),) = again.states()
            assert cost
            assert again.end() == 0


@pytest.mark.parametrize("change", ["moved", "broken"])
def test_a_script_that_is_moved_or_broken_while_it_serves_changes_nothing(
    tmp_path: Path, change: str
) -> None:
    script = tmp_path / "limiter.py"
    # Of a copy of the script alone the package would be missing, so the copy says where it is.
    original = (ROOT / "addons" / "limiter.py").read_text()
    script.write_text(original.replace("Path(__file__).resolve().parents[1]", f"Path({str(ROOT)!r})"))
    with ThreadedStandIn(lambda _: json_answer()) as upstream:
        proxy = Mitmdump(tmp_path, script=script)
        try:
            proxy.wait()
            limiter = proxy.limiter(upstream)
            if change == "moved":
                script.rename(tmp_path / "away.py")
            else:
                script.write_text("this is no Python")
            stop = time.monotonic() + 1.5
            while time.monotonic() < stop:
                # An addon that is unloaded would let this request through to nowhere, with mitmproxy's own page.
                assert httpx.get(f"{proxy.url}/v1/unknown/models").status_code == 404
                time.sleep(0.1)
            url = f"{proxy.url}/v1/{limiter.code}/chat/completions"
            assert httpx.post(url, json=CHAT).headers["x-request-cost"] == "0.0002"
            assert proxy.end() == 0
        finally:
            if proxy.process.poll() is None:
                proxy.process.kill()
            proxy.process.wait(20)


@pytest.mark.parametrize(
    ("arguments", "settings", "word"),
    [
        (("--set", "no_such_option=1"), {}, "no_such_option"),
        (("--mode", "reverse:https://api.openai.com"), {}, "mode"),
        ((), {"PRICING_FILE": "/nonexistent.yaml"}, "/nonexistent.yaml"),
        ((), {"DATABASE_URL": "sqlite:/nonexistent/usage.db"}, "/nonexistent"),
    ],
)
def test_what_is_mistyped_or_unsafe_keeps_it_from_starting(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], word: str
) -> None:
    proxy = Mitmdump(tmp_path, *arguments, **settings)
    try:
        code = proxy.process.wait(30)
    finally:
        proxy.process.kill()
        proxy.process.wait(20)

    assert code != 0
    log = proxy.log.read_text()
    assert word in log
    assert "Traceback" not in log


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        proxy = Mitmdump(tmp_path, PORT=str(port))
        try:
            assert proxy.process.wait(30) != 0
        finally:
            proxy.process.kill()
            proxy.process.wait(20)

    assert f"PORT {port} is in use" in proxy.log.read_text()
