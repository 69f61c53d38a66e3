"""Settings come from the environment, then from `.env`, then from defaults, and nonsense is refused by name."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest

from metering.errors import SettingError
from metering.settings import NAMES, Settings

ROOT = Path(__file__).resolve().parents[2]
SECRET = "9f7c2a1e5b8d4036" * 4


def test_without_any_setting_the_documented_defaults_hold(tmp_path: Path) -> None:
    settings = Settings.load({}, tmp_path)

    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert (settings.stats_host, settings.stats_port) == ("127.0.0.1", 3000)
    assert settings.database_path == tmp_path / "usage_data.db"
    assert settings.pricing_file == tmp_path / "pricing.yaml"
    assert settings.openai_api_base_url == "https://api.openai.com"
    assert settings.public_proxy_url == "http://localhost:8000"
    assert (settings.admin_username, settings.admin_password, settings.jwt_secret) == ("admin", None, None)
    assert settings.jwt_expire_hours == 24
    assert settings.retention_days is None
    assert 1 <= settings.workers <= 4
    assert ipaddress.ip_network("::1") in settings.trusted_proxies


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=8001\nSTATS_PORT=3001 # the dashboard\n")

    settings = Settings.load({"PORT": "9000"}, tmp_path)

    assert (settings.port, settings.stats_port, settings.stats_host) == (9000, 3001, "127.0.0.1")


def test_an_empty_value_is_no_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("JWT_SECRET=\nADMIN_USERNAME=root\n")

    settings = Settings.load({"PORT": " ", "ADMIN_USERNAME": ""}, tmp_path)

    assert (settings.port, settings.jwt_secret, settings.admin_username) == (8000, None, "root")


def test_a_password_in_the_file_may_have_quotes_and_dollars(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("export ADMIN_PASSWORD='pa$$ ${HOME} # word'\n")

    assert Settings.load({}, tmp_path).admin_password == "pa$$ ${HOME} # word"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:usage.db", "/srv/app/usage.db"),
        ("sqlite:///usage.db", "/srv/app/usage.db"),
        ("sqlite:///data/usage.db", "/srv/app/data/usage.db"),
        ("sqlite:/data/usage.db", "/data/usage.db"),
        ("sqlite:////data/usage.db", "/data/usage.db"),
    ],
)
def test_a_database_is_named_relative_to_the_project_or_absolutely(url: str, path: str) -> None:
    assert Settings.load({"DATABASE_URL": url}, Path("/srv/app")).database_path == Path(path)


def test_a_public_address_follows_the_port_unless_it_is_set(tmp_path: Path) -> None:
    assert Settings.load({"PORT": "9000"}, tmp_path).public_proxy_url == "http://localhost:9000"
    assert (
        Settings.load({"PUBLIC_PROXY_URL": "https://llm.example.com/"}, tmp_path).public_proxy_url
        == "https://llm.example.com"
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "http", "from 0 to 65535, and is 'http'"),
        ("PORT", "70000", "from 0 to 65535"),
        ("PORT", "-1", "from 0 to 65535"),
        ("PORT", "٣٠٠٠", "from 0 to 65535"),
        ("STATS_PORT", "8000", "which is PORT, too"),
        ("HOST", "a b", "an address or a name"),
        ("DATABASE_URL", "postgresql://me:secret@db/usage", "must start with sqlite:"),
        ("DATABASE_URL", "usage.db", "must start with sqlite:"),
        ("DATABASE_URL", "sqlite:", "must name a file"),
        ("DATABASE_URL", "sqlite::memory:", "must name a file that lasts"),
        ("DATABASE_URL", "sqlite://host/usage.db", "must not name a host"),
        ("DATABASE_URL", "sqlite:usage.db?mode=ro", "without parameters"),
        ("JWT_EXPIRE_HOURS", "0", "from 1"),
        ("OPENAI_API_BASE_URL", "api.openai.com", "must start with http:// or https://"),
        ("OPENAI_API_BASE_URL", "https://me:key@api.openai.com", "must not contain credentials"),
        ("OPENAI_API_BASE_URL", "http://169.254.169.254", "link-local"),
        ("PUBLIC_PROXY_URL", "proxy.example.com", "must be an address"),
        ("PUBLIC_PROXY_URL", "http://[::1", "must be an address"),
        ("WORKERS", "0", "from 1 to 64"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, nginx", "must be addresses or networks"),
        ("SHUTDOWN_GRACE_S", "soon", "must be a number of seconds"),
        ("SHUTDOWN_GRACE_S", "nan", "must be a number of seconds"),
        ("UPSTREAM_TIMEOUT_S", "inf", "must be a number of seconds"),
        ("RETENTION_DAYS", "1", "from 2"),
        ("LOG_LEVEL", "loud", "must be one of debug, info, warning, error"),
        ("LOG_FORMAT", "xml", "must be one of text, json"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    with pytest.raises(SettingError, match=re.escape(said)) as refused:
        Settings.load({name: value}, tmp_path)

    assert refused.value.name == name
    assert str(refused.value).startswith(f"{name} ")
    assert "secret" not in str(refused.value)


def test_a_line_of_the_file_that_cannot_be_understood_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=8000\n\nthis is = not: 'a setting\n")

    with pytest.raises(SettingError, match="line 3"):
        Settings.load({}, tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    with pytest.raises(SettingError, match=r"\.env cannot be read"):
        Settings.load({}, tmp_path)


def test_the_default_password_is_safe_on_loopback_only(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"):
        Settings.load({"STATS_HOST": host}, tmp_path).refuse_unsafe_service()

    for host in ("0.0.0.0", "::", "10.0.0.1", "stats.example.com"):
        for password in ("", "changeme"):
            open_to_all = Settings.load({"STATS_HOST": host, "ADMIN_PASSWORD": password}, tmp_path)
            with pytest.raises(SettingError, match="ADMIN_PASSWORD must be set"):
                open_to_all.refuse_unsafe_service()


@pytest.mark.parametrize("password", ["short", "password", "Password123", "change-me-please", "aaaaaaaaaaaa"])
def test_a_password_that_can_be_guessed_is_refused_even_on_loopback(tmp_path: Path, password: str) -> None:
    with pytest.raises(SettingError, match="ADMIN_PASSWORD") as refused:
        Settings.load({"ADMIN_PASSWORD": password}, tmp_path).refuse_unsafe_service()

    assert password not in str(refused.value)


@pytest.mark.parametrize(
    "secret",
    ["short", "your-secret-key-change-in-production", "your_jwt_secret_key_replace_it_now", "x" * 64],
)
def test_a_token_secret_that_can_be_guessed_is_refused(tmp_path: Path, secret: str) -> None:
    with pytest.raises(SettingError, match="JWT_SECRET"):
        Settings.load({"JWT_SECRET": secret}, tmp_path).refuse_unsafe_service()


def test_a_good_password_and_secret_are_taken_on_any_address(tmp_path: Path) -> None:
    given = {"ADMIN_PASSWORD": "correct horse battery", "JWT_SECRET": SECRET, "STATS_HOST": "0.0.0.0"}

    Settings.load(given, tmp_path).refuse_unsafe_service()


def test_neither_password_nor_secret_is_shown_with_the_settings(tmp_path: Path) -> None:
    shown = repr(Settings.load({"ADMIN_PASSWORD": "correct horse", "JWT_SECRET": SECRET}, tmp_path))

    assert "correct horse" not in shown
    assert SECRET not in shown


def test_own_addresses_are_both_listeners_and_the_public_one(tmp_path: Path) -> None:
    settings = Settings.load({"PUBLIC_PROXY_URL": "https://llm.example.com"}, tmp_path)

    assert settings.own_addresses == {("0.0.0.0", 8000), ("127.0.0.1", 3000), ("llm.example.com", 443)}


def test_the_example_file_has_every_setting_and_sets_none_that_matters(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text()

    assert set(re.findall(r"^#? ?([A-Z_]+)=", example, re.MULTILINE)) == NAMES
    without = Settings.load({}, tmp_path)
    (tmp_path / ".env").write_text(example)
    assert Settings.load({}, tmp_path) == without


def test_every_setting_is_explained_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()

    assert {name for name in NAMES if f"`{name}`" not in readme} == set()


def test_the_defaults_in_the_readme_are_those_that_are_in_force(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| ([^|]+) \|", readme, re.MULTILINE)
    said = [
        (name, default)
        for names, defaults in rows
        for name, default in zip(names.split(", "), re.findall(r"`[^`]+`|[a-z][^,]*", defaults), strict=False)
    ]
    environ = {name.strip("`"): default.strip("`") for name, default in said if default.startswith("`")}

    assert {name.strip("`") for name, _ in said} == NAMES
    assert Settings.load(environ, tmp_path) == Settings.load({}, tmp_path)


def test_what_the_example_file_shows_are_the_defaults(tmp_path: Path) -> None:
    without = Settings.load({}, tmp_path)
    shown = re.sub(r"^# ([A-Z_]+=.)", r"\1", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(shown)

    assert Settings.load({}, tmp_path) == without
