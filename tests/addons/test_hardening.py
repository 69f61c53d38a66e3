"""Which options of mitmproxy are allowed, and what is left of its addons."""

import pytest
from mitmproxy.options import Options
from mitmproxy.tools.dump import DumpMaster

from addons import hardening
from metering.errors import SettingError
from tests.addons.proxy import Proxied

UNSAFE = [
    "ssl_insecure=true",
    "mode=reverse:https://api.openai.com",
    "mode=socks5",
    "listen_port=8081",
    "listen_host=127.0.0.1",
    "stream_large_bodies=1",
    "body_size_limit=1m",
    "store_streamed_bodies=true",
    "keep_host_header=true",
    "validate_inbound_headers=false",
    "modify_headers=/a/b/c",
    "map_remote=|a|b",
    "upstream_auth=a:b",
]


async def options(*given: str) -> Options:
    """The options of a mitmdump."""
    found = Options()
    DumpMaster(found, with_termlog=False, with_dumper=False)
    found.set(*given, defer=True)
    return found


@pytest.mark.parametrize("given", UNSAFE)
async def test_an_option_that_is_not_known_to_be_harmless_is_refused(given: str) -> None:
    name = given.partition("=")[0]

    with pytest.raises(SettingError) as refused:
        hardening.check_options(await options(given))

    assert refused.value.name == name


async def test_a_mistyped_option_is_refused() -> None:
    with pytest.raises(SettingError) as refused:
        hardening.check_options(await options("no_such_option=1"))

    assert "no such name" in str(refused.value)


async def test_what_is_harmless_or_what_we_set_ourselves_is_allowed() -> None:
    hardening.check_options(await options("http_connect_send_host_header=false", "connection_strategy=lazy"))


async def test_only_what_is_needed_is_left_on_the_chain(proxy: Proxied) -> None:
    names = [type(addon).__name__ for addon in proxy.master.addons.chain]

    assert names == ["Proxyserver", "UpstreamTls", "ErrorCheck", "Limiter"]
    assert proxy.master.options.connection_strategy == "lazy"
    assert proxy.master.options.mode == [hardening.MODE]
