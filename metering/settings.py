"""The settings: from the environment, then from `.env` beside the README, then the default. Read once, at start.

An empty value counts as none. Whether the settings are safe to serve the dashboard with is a question of its own
(`refuse_unsafe_service`), since a proxy alone has no password.
"""

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv.parser import parse_stream

from metering import setting_values as values
from metering.base_urls import Address
from metering.errors import SettingError
from metering.setting_values import Network

DEFAULT_PORT = 8_000
WORKERS_DEFAULT_MAX = 4
PASSWORD_MIN = 8
SECRET_MIN = 32
DEFAULT_PASSWORD = "changeme"  # noqa: S105  # The one that is taken on loopback alone.
SAMPLE_PASSWORDS = frozenset(
    {"password", "password1", "password123", "12345678", "123456789", "admin123", "adminadmin"}
)
SAMPLE_MARKS = (
    "changeme",
    "changethis",
    "changein",
    "yoursecret",
    "yourjwt",
    "yourpassword",
    "replaceme",
    "supersecret",
)
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = tuple(ipaddress.ip_network(text) for text in ("127.0.0.1", "::1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set; each field is the setting of its name in lower case, but for the two paths."""

    database_path: Path
    """From DATABASE_URL."""
    pricing_file: Path
    host: str = "0.0.0.0"  # noqa: S104  # The proxy is there for others; a limiter's code is its key.
    port: int = DEFAULT_PORT
    """0 takes any free port."""
    stats_host: str = "127.0.0.1"
    stats_port: int = 3000
    jwt_secret: str | None = field(default=None, repr=False)
    """None: a random one, kept beside the database."""
    jwt_expire_hours: int = 24
    admin_username: str = "admin"
    admin_password: str | None = field(default=None, repr=False)
    """None: `changeme`, on loopback only."""
    openai_api_base_url: str = "https://api.openai.com"
    public_proxy_url: str = "http://localhost:8000"
    workers: int = 1
    trusted_proxies: tuple[Network, ...] = _LOOPBACK
    max_body_mb: int = 64
    shutdown_grace_s: float = 30.0
    retention_days: int | None = None
    max_connections: int = 1_024
    max_connections_per_address: int = 256
    max_requests_per_connection: int = 1_000
    max_header_bytes: int = 65_536
    header_timeout_s: float = 30.0
    body_timeout_s: float = 300.0
    idle_timeout_s: float = 120.0
    upstream_timeout_s: float = 600.0
    log_level: str = "info"
    log_format: str = "text"

    @classmethod
    def load(cls, environ: Mapping[str, str], root: Path) -> "Settings":
        """Read and validate all settings; relative paths are relative to `root`. Raises SettingError."""
        given = _given(environ, root)
        read: dict[str, object] = {
            "database_path": values.database(root)("sqlite:usage_data.db"),
            "pricing_file": root / "pricing.yaml",
            "workers": min(usable_cores(), WORKERS_DEFAULT_MAX),
        }
        for name, (place, reader) in _readers(root).items():
            if (text := given.get(name)) is not None:
                try:
                    read[place] = reader(text)
                except ValueError as wrong:
                    raise SettingError(name, f"{wrong}.") from wrong
        read.setdefault("public_proxy_url", f"http://localhost:{read.get('port', DEFAULT_PORT)}")
        settings = cls(**read)  # type: ignore[arg-type]  # Each reader makes what its field is.
        if settings.port == settings.stats_port != 0:
            raise SettingError("STATS_PORT", f"must not be {settings.port}, which is PORT, too.")
        return settings

    @property
    def uses_default_password(self) -> bool:
        """Whether the administrator signs in with the password that everybody knows."""
        return self.admin_password in {None, DEFAULT_PASSWORD}

    @property
    def own_addresses(self) -> frozenset[Address]:
        """Where this program listens; no limiter may have one of these as its upstream."""
        public = urlsplit(self.public_proxy_url)
        return frozenset(
            {
                (self.host, self.port),
                (self.stats_host, self.stats_port),
                (public.hostname or "", public.port or _PORTS[public.scheme]),
            }
        )

    def refuse_unsafe_service(self) -> None:
        """Raise SettingError where the dashboard would be open to strangers."""
        if self.uses_default_password and not is_loopback(self.stats_host):
            raise SettingError(
                "ADMIN_PASSWORD",
                f"must be set, because STATS_HOST is {self.stats_host} and not this machine alone.",
            )
        if not self.uses_default_password:
            password = self.admin_password or ""
            if len(password) < PASSWORD_MIN:
                raise SettingError("ADMIN_PASSWORD", f"must have at least {PASSWORD_MIN} characters.")
            if password.lower() in SAMPLE_PASSWORDS or _is_sample(password):
                raise SettingError("ADMIN_PASSWORD", "is a sample that everybody knows: choose another one.")
        if self.jwt_secret is not None:
            if len(self.jwt_secret.encode()) < SECRET_MIN:
                raise SettingError(
                    "JWT_SECRET", f"must have at least {SECRET_MIN} bytes, or be empty for a random one."
                )
            if _is_sample(self.jwt_secret):
                raise SettingError(
                    "JWT_SECRET", "is a sample that everybody knows: leave it empty for a random one."
                )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def usable_cores() -> int:
    """The cores that this process may use, which in a container can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_sample(secret: str) -> bool:
    bare = "".join(sign for sign in secret.lower() if sign.isalnum())
    return any(mark in bare for mark in SAMPLE_MARKS) or len(set(secret)) <= 3


def _given(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    given = {name: text for name, text in _from_file(root / ".env").items() if text}
    return given | {name: text.strip() for name, text in environ.items() if text.strip()}


def _from_file(path: Path) -> dict[str, str]:
    try:
        # A password may contain `$`, so nothing is expanded.
        with path.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as failure:
        raise SettingError(str(path), f"cannot be read: {failure}.") from failure
    for binding in bindings:
        if binding.error:
            # What a line begins with includes the empty lines above it.
            text = binding.original.string
            line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
            raise SettingError(str(path), f"cannot be understood in line {line}.")
    return {binding.key: (binding.value or "").strip() for binding in bindings if binding.key}


def _readers(root: Path) -> dict[str, tuple[str, Callable[[str], object]]]:
    """Setting → field and reader."""
    timeout = values.seconds(0.1, 86_400)
    plain: dict[str, Callable[[str], object]] = {
        "host": values.host,
        "port": values.whole(0, 65_535),
        "stats_host": values.host,
        "stats_port": values.whole(0, 65_535),
        "jwt_secret": str,
        "jwt_expire_hours": values.whole(1, 87_600),
        "admin_username": str,
        "admin_password": str,
        "openai_api_base_url": values.upstream,
        "public_proxy_url": values.public_url,
        "pricing_file": values.file(root),
        "workers": values.whole(1, 64),
        "trusted_proxies": values.networks,
        "max_body_mb": values.whole(1, 2_047),
        "shutdown_grace_s": values.seconds(0, 86_400),
        "retention_days": values.whole(2, 36_500),
        "max_connections": values.whole(1, 1_000_000),
        "max_connections_per_address": values.whole(1, 1_000_000),
        "max_requests_per_connection": values.whole(1, 1_000_000_000),
        "max_header_bytes": values.whole(1_024, 16_777_216),
        "header_timeout_s": timeout,
        "body_timeout_s": timeout,
        "idle_timeout_s": timeout,
        "upstream_timeout_s": timeout,
        "log_level": values.one_of("debug", "info", "warning", "error"),
        "log_format": values.one_of("text", "json"),
    }
    named = {place.upper(): (place, reader) for place, reader in plain.items()}
    return named | {"DATABASE_URL": ("database_path", values.database(root))}


NAMES = frozenset(_readers(Path()))
"""All settings there are."""
