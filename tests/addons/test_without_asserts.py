"""Nothing of ours rests on `assert`: the faults are the same under `python -O`, which the workers run with."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHOSEN = (
    "test_a_bug_in_metering_refuses_the_request or test_an_odd_request_reaches_no_upstream"
    " or test_a_locked_database or test_a_dead_writer or trailers or interim or switch_protocols"
    " or test_an_upstream_that_breaks_off_before_its_answer or chunk_header or test_a_header_of_forty"
    " or test_a_full_disk or test_a_database_that_is_read_only or test_a_corrupt_database or steps_back"
    " or slow_sender or silent_too_long or cannot_be_reached_in_time or resets"
)


def test_the_faults_end_alike_without_asserts() -> None:
    modules = ["fail_closed", "faults", "life_of_a_flow", "endings", "exposure", "resets"]
    command = [sys.executable, "-O", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CHOSEN]
    # pytest rewrites the asserts of test modules itself, and warns that it cannot do so elsewhere.
    command += ["-W", "ignore::pytest.PytestConfigWarning", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))
    }
    done = subprocess.run(
        [*command, *(f"tests/addons/test_{name}.py" for name in modules)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
    assert "passed" in done.stdout
