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
def test_the_node_sdk_chats_streams_and_is_refused_once(
    stack: Stack, admin: Admin, upstream: StandIn, node_project: Path
) -> None:
    # Two calls of $0.000095 cross the line of this budget; the third is refused.
    limiter = admin.create(upstream.url, "0.00019")
    run = subprocess.run(
        ["node", "calls.mjs", stack.base_url(limiter)],
        cwd=node_project,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    result = json.loads(run.stdout)

    assert result["plain"] == "The quick brown fox jumps over the lazy"
    assert result["streamed"].split() == result["plain"].split()
    assert result["emptyChunks"] == 0
    assert (result["refusal"]["name"], result["refusal"]["status"]) == ("RateLimitError", 429)
    assert result["refusal"]["code"] == "budget_exceeded"
    assert len(upstream.received) == 2
    stats = stack.at_rest(limiter["id"], admin)
    assert stats["current_spend"] == 2 * Decimal("0.000095")
    assert stats["total_requests"] == 2
