"""`scripts/replay` on the small exchanges of the suite: through a real proxy, and what it says of a difference."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXCHANGES = ROOT / "tests" / "exchanges"


def replay(folder: Path, *options: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "scripts.replay", str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    lines = done.stdout.splitlines() + done.stderr.splitlines()
    return done.returncode, [line for line in lines if " info " not in line]


def test_every_exchange_is_metered_as_the_wire_says_and_goes_on_byte_for_byte() -> None:
    code, lines = replay(EXCHANGES)
    number = len(list(EXCHANGES.glob("*.json")))
    assert code == 0, lines
    assert f"exchanges: {number}; refused by the proxy: none" in lines
    assert f"answers: {number}; equal to what the upstream sent: {number}" in lines
    assert "held at the end: 0" in lines


def test_an_upstream_that_compresses_is_metered_all_the_same() -> None:
    code, lines = replay(EXCHANGES, "--coding", "gzip", "--only", "chat", "--seed", "7")
    assert code == 0, lines


def test_a_difference_is_reported_by_name(tmp_path: Path) -> None:
    exchange = json.loads((EXCHANGES / "openai_chat_plain.json").read_text())
    exchange["expected_usage"]["prompt_tokens"] = 8
    (tmp_path / "doctored.json").write_text(json.dumps(exchange))
    code, lines = replay(tmp_path)
    assert code == 1
    assert any(
        line.startswith("doctored: settled reported") and "'input_tokens': (9, 8)" in line for line in lines
    )
    assert "usage on the wire: 1; recorded equal: 0" in lines
