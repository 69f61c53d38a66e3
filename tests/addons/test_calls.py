"""The ends of a call, in any order: the first one decides, and what it decides follows from what was seen until then."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from addons.calls import Call, End, Verdict
from metering.asks import Family
from metering.entries import Admitted
from metering.limiters import Limiter
from metering.reading import StreamReader
from metering.usage import Reading, Usage

OUTPUT = b'data: {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}\n\n'
ERROR = b'data: {"error": {"message": "no", "code": "rate_limit_exceeded"}}\n\n'

ENDS = st.lists(st.sampled_from(End), min_size=1, max_size=4)
STATES = st.fixed_dictionaries(
    {
        "is_sent": st.booleans(),
        "is_known_key": st.booleans(),
        "status": st.sampled_from([None, 200, 400, 500]),
        "is_streamed": st.booleans(),
        "events": st.lists(st.sampled_from([OUTPUT, USAGE, ERROR]), max_size=3),
    }
)


def call_in(state: dict[str, Any]) -> Call:
    """A call that has come as far as this."""
    call = Call(
        limiter=cast("Limiter", None),
        admitted=cast("Admitted", None),
        endpoint="chat/completions",
        family=Family.CHAT,
        ask=None,
        asked_model="plain",
        model="plain",
        row=None,
        is_unmetered=False,
        user="",
        key="key",
        is_known_key=lambda: bool(state["is_known_key"]),
        base_host="api.openai.com",
        body=b"",
        started_s=0.0,
    )
    call.status = state["status"]
    call.is_sent = state["is_sent"] or call.status is not None
    call.is_streamed = state["is_streamed"] and call.status == 200
    if call.is_streamed:
        call.reader = StreamReader(Family.CHAT, withhold_usage=False)
        for event in state["events"]:
            call.reader.feed(event)
    return call


@given(STATES, ENDS)
def test_whatever_ends_come_in_whatever_order_the_first_resolves_the_hold_and_no_other(
    state: dict[str, Any], ends: list[End]
) -> None:
    call = call_in(state)
    verdicts = [call.end(ending) for ending in ends]
    assert isinstance(verdicts[0], Verdict)
    assert verdicts[1:] == [None] * (len(ends) - 1)
    assert call.ending is ends[0]


@given(STATES, st.sampled_from(End))
def test_what_a_usage_says_is_charged_however_the_call_ends(state: dict[str, Any], ending: End) -> None:
    call = call_in(state)
    call.reading = Reading(usage=Usage(input_tokens=1))
    assert call.end(ending) is Verdict.REPORTED


@given(STATES, st.sampled_from(End))
def test_without_a_usage_an_error_costs_nothing_and_output_always_costs_something(
    state: dict[str, Any], ending: End
) -> None:
    state["events"] = [event for event in state["events"] if event is not USAGE]
    call = call_in(state)
    decided = call.end(ending)
    if call.status in (400, 500):
        assert decided is Verdict.RELEASE
    elif call.reader is not None and call.reader.saw_output:
        assert decided is Verdict.ESTIMATE
    elif not call.is_sent:
        assert decided is Verdict.RELEASE


@given(STATES, st.sampled_from(End))
def test_a_stranger_who_leaves_before_anything_came_burns_no_budget(
    state: dict[str, Any], ending: End
) -> None:
    call = call_in(state | {"status": None, "is_known_key": False})
    decided = call.end(ending)
    if ending in (End.CLIENT_LEFT, End.TIMED_OUT, End.UPSTREAM_BROKE, End.ANSWERED):
        assert decided is Verdict.RELEASE


def test_a_success_without_output_yet_shows_that_the_upstream_takes_the_key() -> None:
    """Who leaves then is no stranger, however new his key is here."""
    state = {"is_sent": True, "is_known_key": False, "status": 200, "is_streamed": True, "events": []}
    assert call_in(state).end(End.CLIENT_LEFT) is Verdict.HOLD
    assert call_in(state | {"status": None}).end(End.CLIENT_LEFT) is Verdict.RELEASE
