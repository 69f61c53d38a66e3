"""The whole product in one command: `python -O -m addons.serve`, which `scripts/serve` runs.

Whatever can be wrong is looked at before anything starts, and said in one sentence: settings, price book, database, a
second instance, ports. Then the supervisor runs the workers, which inherit the proxy's sockets, and the stats service.
"""

import argparse
import asyncio
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from os import environ
from pathlib import Path

from addons.child import Program
from addons.output import Output
from addons.sockets import bind, port_of
from addons.supervisor import DEATHS_PER_MINUTE, NAME, Address, Supervisor
from metering.base_urls import http_url
from metering.database import Database, storing
from metering.errors import MeteringError, SettingError, StoreError
from metering.locks import LockFile, make_directory
from metering.pricing import PriceBook
from metering.settings import DEFAULT_PASSWORD, Settings

ROOT = Path(__file__).resolve().parents[1]
STOP_MARGIN_S = 15.0
"""What a worker may take beyond the grace time of its calls, to write their ends."""
SERVICE_STOP_S = 10.0
_ANY_HOST = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # Looked up, not bound.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until everything has stopped; the exit code is 0 only where somebody asked for that."""
    chosen = _chosen(arguments)
    try:
        with ExitStack() as held:
            settings = check(held, has_service=not chosen.proxy_only)
            sockets = [held.enter_context(one) for one in bind(settings.host, settings.port)]
            service_port = None if chosen.proxy_only else _free_port(settings)
            return asyncio.run(_run(settings, sockets, service_port, chosen.deaths_per_minute))
    except MeteringError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def check(held: ExitStack, *, has_service: bool = True) -> Settings:
    """Look at all that must be right, and lock the database against a second instance. Raises MeteringError."""
    settings = Settings.load(environ, ROOT)
    if has_service:
        settings.refuse_unsafe_service()
    PriceBook.load(settings.pricing_file)
    database = Database(settings.database_path)
    make_directory(database.locks)
    # Before anything is changed: this may be a newer version, and the one that serves does not know its tables.
    with storing("lock the database"):
        instance = held.enter_context(LockFile(database.locks / "instance"))
        if not instance.try_take():
            raise StoreError(
                "start",
                f"another instance already serves {settings.database_path}",
                "Stop it, or set DATABASE_URL.",
            )
    database.migrate()
    return settings


async def _run(
    settings: Settings, sockets: Sequence[socket.socket], service_port: int | None, deaths_per_minute: int
) -> int:
    port = port_of(sockets[0])
    proxy = _reachable(settings.host, port)
    numbers = tuple(one.fileno() for one in sockets)
    stages = [[_worker(number, numbers, settings) for number in range(1, settings.workers + 1)]]
    addresses, announcement = [proxy], [f"Proxy:     {http_url(*proxy)}"]
    given = {**environ, "PYTHONUNBUFFERED": "1", "PORT": str(port)}
    if service_port is not None:
        service = _reachable(settings.stats_host, service_port)
        stages.append(
            [
                Program(
                    name="service",
                    command=(sys.executable, "-m", "stats_service"),
                    stop_within_s=SERVICE_STOP_S,
                )
            ]
        )
        addresses.append(service)
        announcement.append(f"Dashboard: {http_url(*service)}")
        if settings.uses_default_password:
            announcement.append(
                f"Sign in as {settings.admin_username} with the password {DEFAULT_PASSWORD}; it is taken on this machine only."
            )
        given["STATS_PORT"] = str(service_port)
    width = max(len(program.name) for stage in stages for program in stage)
    supervisor = Supervisor(
        stages,
        environ=given,
        write=Output(sys.stdout.buffer, width=max(width, len(NAME)), as_json=settings.log_format == "json"),
        addresses=addresses,
        announcement=announcement,
        deaths_per_minute=deaths_per_minute,
    )
    return await supervisor.run()


def _worker(number: int, sockets: tuple[int, ...], settings: Settings) -> Program:
    return Program(
        name=f"proxy-{number}",
        command=(sys.executable, "-O", "-m", "addons.worker", *map(str, sockets)),
        sockets=sockets,
        stop_within_s=settings.shutdown_grace_s + STOP_MARGIN_S,
    )


def _free_port(settings: Settings) -> int:
    """The port of the stats service, which binds it by itself. Raises SettingError where it is taken."""
    try:
        with ExitStack() as opened:
            bound = [opened.enter_context(one) for one in bind(settings.stats_host, settings.stats_port)]
            return port_of(bound[0])
    except SettingError as wrong:
        raise SettingError(f"STATS_{wrong.name}", wrong.reason) from wrong


def _reachable(host: str, port: int) -> Address:
    return _ANY_HOST.get(host, host), port


def _chosen(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/serve",
        description="Run the proxy and the stats service; settings come from the environment and .env.",
    )
    parser.add_argument(
        "--proxy-only", action="store_true", help="leave the stats service to somebody else, as containers do"
    )
    parser.add_argument(
        "--deaths-per-minute",
        type=int,
        default=DEATHS_PER_MINUTE,
        metavar="N",
        help="how many deaths within a minute stop everything (default: %(default)s)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
