"""`scripts/torture kill` in its short form: a few workers killed under load, and no answer that is not accounted for."""

import random
import re

from scripts.torture import kill_trial

KILLS = 4


def test_workers_that_are_killed_under_load_lose_no_answer_and_no_cent() -> None:
    problems, summary = kill_trial(KILLS, random.Random(7))
    assert problems == []
    seen = re.match(rf"{KILLS} kills; (\d+) answers whole, \d+ broken; rows: ", summary)
    assert seen is not None, summary
    assert int(seen[1]) > 0, "the clients were served meanwhile"
