"""Play a folder of recorded exchanges through a real proxy and compare both sides.

For each exchange a stand-in upstream answers with the recorded status, headers and body (a stream is cut at
random places), and a plain client sends the recorded request to a real `mitmdump`. Reported for each: the
usage recorded in the database against the usage on the wire, and the client's bytes against the upstream's.
Run it as `scripts/replay DIR`.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from metering.clock import now_us
from metering.database import Database
from metering.limiters import Limiters
from scripts.replay_client import Reply, send
from scripts.replay_exchange import CODINGS, HOP_BY_HOP, Exchange
from scripts.replay_expected import COLUMNS, asks_for_usage, client_body, counts
from scripts.standin import Received, StandIn

ROOT = Path(__file__).resolve().parents[1]
_ADDED = re.compile(r"x-budget-(limit|remaining|reset|clamped)|x-request-cost")
_AT_ONCE = 6
_ANSWER_TIMEOUT_S = 60
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 60


@dataclass(slots=True)
class Verdict:
    """What came of one exchange."""

    name: str
    usage_problem: str | None = None
    problems: list[str] = field(default_factory=list)
    """All that is wrong beside the usage."""
    had_usage: bool = False
    refused: str | None = None
    """The code of the proxy's own refusal."""
    outcome: str = "no row"
    """How its row ended: state and basis."""


@dataclass(slots=True)
class Replay:
    """One proxy on one database, and the exchanges that are played through it."""

    database: Database
    limiters: Limiters
    port: int
    coding: str | None
    seed: int

    async def play(self, exchange: Exchange) -> Verdict:
        """Play one exchange through a limiter and an upstream of its own."""
        verdict = Verdict(exchange.name)
        dice = random.Random(f"{self.seed}{exchange.name}")
        async with StandIn(exchange.answer(dice, self.coding)) as upstream:
            prefix, rest = exchange.place()
            limiter = await asyncio.to_thread(
                self.limiters.create,
                name=exchange.name[:80],
                budget_limit=1_000_000,
                period_type="year",
                base_url=upstream.url + prefix,
                unpriced="fallback",
                allow_unmetered=True,
            )
            try:
                request = exchange.request(self.port, f"/v1/{limiter.code}/{rest}")
                reply = await asyncio.wait_for(send(self.port, request), _ANSWER_TIMEOUT_S)
            except (OSError, EOFError, ValueError) as error:
                verdict.problems.append(f"the client got no answer: {error!r}")
                return verdict
            received = upstream.received
        if not received:
            verdict.refused = reply.error_code or f"status {reply.status}"
            if not (exchange.switches_protocols and verdict.refused == "websocket_not_supported"):
                verdict.problems.append(
                    f"refused with {reply.status} {verdict.refused}: {reply.body[:200]!r}"
                )
            return verdict
        _compare(verdict, exchange, reply, received[0])
        await self._compare_usage(verdict, exchange, limiter.key)
        return verdict

    async def _compare_usage(self, verdict: Verdict, exchange: Exchange, limiter: int) -> None:
        query = f"select state, basis, {', '.join(COLUMNS)} from requests where limiter = ?"
        rows = self.rows(query, limiter)
        for _ in range(500):
            if exchange.method != "POST" or (rows and rows[0][0] != "held"):
                break
            if not rows and exchange.usage is None:
                break
            await asyncio.sleep(0.01)
            rows = self.rows(query, limiter)
        verdict.had_usage = exchange.usage is not None
        if not rows:
            verdict.usage_problem = "no row was recorded" if verdict.had_usage else None
            return
        state, basis, *found = rows[0]
        verdict.outcome = f"{state} {basis}" if basis else str(state)
        expected = exchange.record.get("expected_outcome")
        if expected is not None and verdict.outcome != expected:
            verdict.problems.append(f"the call ended as {verdict.outcome} and not as {expected}")
        if exchange.usage is None:
            return
        wanted = counts(exchange.usage, exchange.response_body)
        got = dict(zip(COLUMNS, found, strict=True))
        if state != "settled" or basis == "estimated" or got != wanted:
            different = {name: (got[name], wanted[name]) for name in COLUMNS if got[name] != wanted[name]}
            stated = json.dumps(exchange.usage)[:400]
            verdict.usage_problem = f"{verdict.outcome}, (recorded, wanted) {different} of {stated}"

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """What a query finds in the database."""
        with closing(self.database.open_reader()) as connection:
            return [tuple(row) for row in connection.execute(query, values)]


def main() -> int:
    """Replay every exchange, print the differences and a summary, return 1 if there are any."""
    parser = argparse.ArgumentParser(prog="replay", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder of recorded exchanges, one JSON object a file")
    parser.add_argument("--only", default="", help="replay only the files whose name contains this text")
    parser.add_argument("--seed", type=int, default=1, help="where streams are cut")
    parser.add_argument("--coding", choices=CODINGS, help="let the upstream compress its answers")
    chosen = parser.parse_args()
    files = sorted(path for path in chosen.folder.glob("*.json") if chosen.only in path.name)
    if not files:
        sys.exit(f"There is no exchange in {chosen.folder}.")
    return asyncio.run(_replay([Exchange.load(path) for path in files], chosen.seed, chosen.coding))


async def _replay(exchanges: Sequence[Exchange], seed: int, coding: str | None) -> int:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "usage.db")
        database.migrate(now_us)
        limiters = Limiters(database, default_base_url="https://api.openai.com", own_addresses=[])
        async with _proxy(Path(folder)) as port:
            replay = Replay(database, limiters, port, coding, seed)
            gate = asyncio.Semaphore(_AT_ONCE)

            async def play(exchange: Exchange) -> Verdict:
                async with gate:
                    return await replay.play(exchange)

            verdicts = await asyncio.gather(*map(play, exchanges))
        held = replay.rows("select coalesce(sum(held_nanousd), 0) from windows")[0][0]
    return _report(verdicts, held)


def _compare(verdict: Verdict, exchange: Exchange, reply: Reply, received: Received) -> None:
    if reply.status != exchange.status:
        verdict.problems.append(f"status {reply.status} instead of {exchange.status}")
    proxy_asked = asks_for_usage(received.body) and not asks_for_usage(exchange.request_body)
    wanted = client_body(exchange.response_body, proxy_asked=proxy_asked)
    got_body = reply.decoded
    if got_body != wanted:
        both = zip(got_body, wanted, strict=False)
        shorter = min(len(got_body), len(wanted))
        place = next((index for index, (one, other) in enumerate(both) if one != other), shorter)
        around = got_body[max(0, place - 40) : place + 60]
        verdict.problems.append(f"the body differs at byte {place} of {len(wanted)}: {around!r}")
    sent = sorted((name.lower(), value.strip()) for name, value in exchange.response_headers())
    got = sorted(
        (name.lower(), value)
        for name, value in reply.headers
        if name.lower() not in HOP_BY_HOP and not _ADDED.fullmatch(name.lower())
    )
    if sent != got:
        verdict.problems.append(f"headers differ: {sorted(set(sent) ^ set(got))}")


def _report(verdicts: Sequence[Verdict], held: object) -> int:
    for verdict in verdicts:
        for problem in filter(None, (verdict.usage_problem, *verdict.problems)):
            print(f"{verdict.name}: {problem}")
    with_usage = [verdict for verdict in verdicts if verdict.had_usage]
    equal = sum(verdict.usage_problem is None for verdict in with_usage)
    played = [verdict for verdict in verdicts if verdict.refused is None]
    same = sum(not verdict.problems for verdict in played)
    refused = Counter(verdict.refused for verdict in verdicts if verdict.refused is not None)
    print(f"exchanges: {len(verdicts)}; refused by the proxy: {dict(refused) or 'none'}")
    print(f"rows: {dict(Counter(verdict.outcome for verdict in played))}")
    print(f"usage on the wire: {len(with_usage)}; recorded equal: {equal}")
    print(f"answers: {len(played)}; equal to what the upstream sent: {same}")
    print(f"held at the end: {held}")
    wrong = any(verdict.usage_problem or verdict.problems for verdict in verdicts)
    return 1 if wrong or held else 0


@asynccontextmanager
async def _proxy(folder: Path) -> AsyncIterator[int]:
    """A real `mitmdump -s addons/limiter.py` on a free port, stopped in order at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = os.environ | {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATABASE_URL": f"sqlite:{folder / 'usage.db'}",
        "LOG_LEVEL": "warning",
    }
    command = [str(Path(sys.executable).parent / "mitmdump"), "-s", "addons/limiter.py"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL) as process:
        try:
            await _until_listening(port, process)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, _STOP_TIMEOUT_S)
    if process.returncode:
        raise SystemExit(f"The proxy ended with exit code {process.returncode}.")


async def _until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(_START_TIMEOUT_S * 100):
        if process.poll() is not None:
            raise SystemExit("The proxy did not start; its own words stand above.")
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.01)
    raise SystemExit(f"The proxy did not listen within {_START_TIMEOUT_S} s.")


if __name__ == "__main__":
    sys.exit(main())
