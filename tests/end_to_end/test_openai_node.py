"""The OpenAI Node SDK, unmodified, through the real proxy.

The SDK comes from npm into `.cache/`, once; without Node on the machine there is no user of
it to protect, and the test says so by skipping.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.standin import StandIn
from tests.end_to_end.stack import ROOT, Admin, Stack

SOURCES = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def node_project() -> Path:
    """A folder with the SDK installed and our script beside it."""
    project = ROOT / ".cache" / "openai-node"
    project.mkdir(parents=True, exist_ok=True)
    wanted = (SOURCES / "package.json").read_text()
    stamp = project / "installed.json"
    if not stamp.exists() or stamp.read_text() != wanted:
        (project / "package.json").write_text(wanted)
        install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(install, cwd=project, check=True, timeout=240, stdin=subprocess.DEVNULL)
        stamp.write_text(wanted)
    shutil.copy(SOURCES / "calls.mjs", project / "calls.mjs")
    return project


@pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None, reason="Node is not installed"
)
def test_the_node_sdk_returns_what_it_returns_without_the_proxy_and_is_refused_once(
    stack: Stack, admin: Admin, upstream: StandIn, node_project: Path
) -> None:
    # Seven calls of $0.000095 reach this budget; the eighth is refused.
    limiter = admin.create(upstream.url, "0.000665")
    run = subprocess.run(
        ["node", "calls.mjs", stack.base_url(limiter), f"{upstream.url}/v1"],
        cwd=node_project,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    result = json.loads(run.stdout)
    returned, expected = without_ids(result["withProxy"]), without_ids(result["without"])

    assert len(returned) == 7
    for name, value in expected.items():
        assert returned[name] == value, name
    assert returned["plain"]["choices"][0]["message"]["content"] == "The quick brown fox jumps over the lazy"
    assert all(chunk["choices"] for chunk in returned["streamed"])
    assert (result["refusal"]["name"], result["refusal"]["status"]) == ("RateLimitError", 429)
    assert result["refusal"]["code"] == "budget_exceeded"
    assert len(upstream.received) == 2 * 7
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == 7 * Decimal("0.000095")
    assert stats["total_requests"] == 7


def without_ids(value: Any) -> Any:
    """The stand-in numbers its answers; everything else must be equal."""
    if isinstance(value, dict):
        return {key: without_ids(inner) for key, inner in value.items() if key not in ("id", "item_id")}
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value
