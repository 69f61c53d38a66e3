"""Listening sockets, as the supervisor binds them and the workers inherit them."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

from addons.sockets import ACCEPTED_AT_ONCE, BACKLOG, Listener, bind, port_of
from metering.errors import SettingError


def test_a_name_with_several_addresses_gets_one_port() -> None:
    with ExitStack() as opened:
        sockets = [opened.enter_context(one) for one in bind("localhost", 0)]
        assert len({port_of(one) for one in sockets}) == 1
        for one in sockets:
            with socket.create_connection(one.getsockname()[:2], timeout=5):
                assert one.accept()[0].close() is None


def test_a_port_in_use_is_named() -> None:
    with bind("127.0.0.1", 0)[0] as first:
        port = port_of(first)
        with pytest.raises(SettingError, match=f"^PORT {port} is in use on 127.0.0.1.$"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no such host", "host.invalid", "203.0.113.7"])
def test_a_host_that_this_machine_is_not_is_refused(host: str) -> None:
    with pytest.raises(SettingError, match=host):
        bind(host, 0)


def test_an_address_of_another_machine_is_a_fault_of_the_host_and_not_of_the_port() -> None:
    with pytest.raises(
        SettingError, match=r"^HOST cannot be used: 203.0.113.7 is no address of this machine.$"
    ):
        bind("203.0.113.7", 0)


def test_the_queue_stays_long_however_few_are_accepted_at_once() -> None:
    with Listener() as one, ExitStack() as clients:
        one.bind(("127.0.0.1", 0))
        one.listen(1)
        assert BACKLOG > 20
        for _ in range(20):
            clients.enter_context(socket.create_connection(one.getsockname(), timeout=5))


async def test_those_who_share_a_socket_share_its_connections() -> None:
    taken = [0, 0]
    everybody = asyncio.Event()

    def count(who: int) -> asyncio.Protocol:
        taken[who] += 1
        if sum(taken) == 20:
            everybody.set()
        return asyncio.Protocol()

    loop = asyncio.get_running_loop()
    with (
        bind("127.0.0.1", 0)[0] as one,
        Listener(fileno=socket.dup(one.fileno())) as same,
        ExitStack() as clients,
    ):
        for _ in range(20):
            clients.enter_context(socket.create_connection(one.getsockname(), timeout=5))
        async with (
            await loop.create_server(lambda: count(0), sock=one, backlog=ACCEPTED_AT_ONCE),
            await loop.create_server(lambda: count(1), sock=same, backlog=ACCEPTED_AT_ONCE),
        ):
            await everybody.wait()
            clients.close()
    assert min(taken) >= 7
