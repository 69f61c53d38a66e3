"""The container files name things that exist, and give both processes the same database."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]


def compose() -> dict[str, Any]:
    return YAML(typ="safe").load((ROOT / "compose.yaml").read_text())  # type: ignore[no-any-return]


def test_everything_that_is_copied_into_the_image_exists_and_is_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    assert let_through[0] == "*"
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        *names, _ = line.split()
        for name in names:
            assert (ROOT / name).exists(), name
            assert f"!{name}" in let_through, name


def test_the_image_has_all_that_runs() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for name in ("addons", "metering", "stats_service", "pricing.yaml"):
        assert re.search(rf"^COPY .*\b{re.escape(name)}\b", text, re.MULTILINE), name
    assert text.index("USER limiter") < text.index("CMD")


def test_an_example_of_a_reverse_proxy_hands_on_that_a_client_has_left() -> None:
    # Caddy lets a call run on to its end where its client has left and flush_interval is -1.
    lines = (ROOT / "deploy" / "Caddyfile").read_text().splitlines()
    assert not [line for line in lines if line.strip().startswith("flush_interval")]
    assert "proxy_ignore_client_abort on" not in (ROOT / "deploy" / "nginx.conf").read_text()


def test_an_example_of_a_reverse_proxy_keeps_its_connections_to_the_proxy() -> None:
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    name = re.search(r"upstream (\w+) \{\s+server 127\.0\.0\.1:8000;[^}]*keepalive \d+;", text)
    assert name is not None
    calls = text[text.index("location /v1") :]
    for line in (f"proxy_pass http://{name[1]};", 'proxy_set_header Connection "";', "proxy_buffering off;"):
        assert line in calls


def test_proxy_and_service_share_one_volume_and_one_database() -> None:
    proxy, service = (compose()["services"][name] for name in ("proxy", "service"))
    assert proxy["volumes"] == service["volumes"] == ["data:/data"]
    assert proxy["environment"] == service["environment"]
    assert proxy["environment"]["DATABASE_URL"] == "sqlite:////data/usage.db"
    assert service["command"] == ["python", "-m", "stats_service"]
    assert service["ports"] == ["127.0.0.1:3000:3000"]
