"""Upstreams behind TLS: verified, by name, or not spoken to."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scripts.standin import StandIn
from tests.addons.proxy import Proxied
from tests.addons.wire import COST_NANOUSD, chat


def certificate(folder: Path, host: str) -> Path:
    """A certificate that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(day - dt.timedelta(days=3_650))
        .not_valid_after(day + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@asynccontextmanager
async def behind_tls(upstream: StandIn, pem: Path) -> AsyncIterator[int]:
    """A port that speaks TLS for an upstream."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_an_upstream_with_a_certificate_that_is_trusted_is_spoken_to(
    proxy: Proxied, upstream: StandIn, tmp_path: Path
) -> None:
    pem = certificate(tmp_path, "localhost")
    proxy.master.options.update(ssl_verify_upstream_trusted_ca=str(pem))
    async with behind_tls(upstream, pem) as port:
        limiter = proxy.limiter(f"https://localhost:{port}")

        replies = []
        async with proxy.connected() as client:
            for _ in range(2):
                await client.send(chat(limiter.code))
                replies.append(await client.reply())

    assert [reply.status for reply in replies] == [200, 200]
    assert upstream.received[0].header("host") == f"localhost:{port}"
    assert (await proxy.at_rest(limiter)).spent_nanousd == 2 * COST_NANOUSD


@pytest.mark.parametrize("why", ["unknown", "another name"])
async def test_an_upstream_that_cannot_prove_who_it_is_gets_nothing(
    proxy: Proxied, upstream: StandIn, tmp_path: Path, why: str
) -> None:
    pem = certificate(tmp_path, "localhost" if why == "unknown" else "api.example.com")
    if why != "unknown":
        proxy.master.options.update(ssl_verify_upstream_trusted_ca=str(pem))
    async with behind_tls(upstream, pem) as port:
        limiter = proxy.limiter(f"https://localhost:{port}")

        reply = await proxy.chat(limiter)

    assert (reply.status, reply.code) == (502, "upstream_unreachable")
    assert upstream.received == []
    assert (await proxy.row())["state"] == "released"
