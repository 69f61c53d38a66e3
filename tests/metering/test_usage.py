from metering.usage import Reading, Usage


def test_the_total_is_input_and_output_and_counts_no_subset_again() -> None:
    usage = Usage(input_tokens=10, cached_tokens=4, output_tokens=5, reasoning_tokens=3)

    assert usage.total_tokens == 15


def test_no_usage_and_a_usage_of_zero_are_different_readings() -> None:
    assert Reading() != Reading(usage=Usage())
