import pytest

from metering.manners import manner_of


@pytest.mark.parametrize(
    "name", ["gpt-4o", "gpt-5.6-sol", "gpt-6-luna", "ft:gpt-4o", "o3", "openai/o4-mini", "gpt-image-1"]
)
def test_the_templates_of_openais_models_are_known(name: str) -> None:
    assert manner_of(name).is_openai


@pytest.mark.parametrize(
    "name", ["gpt-oss-20b", "openai/gpt-oss:120b", "claude-sonnet-5", "grok-4", "qwen3", "x", ""]
)
def test_those_of_others_are_not(name: str) -> None:
    assert not manner_of(name).is_openai


def test_only_the_beginning_of_a_name_makes_it_an_o_series_model() -> None:
    assert not manner_of("gemini-o1").is_openai
    assert manner_of("o1-pro") is manner_of("o3")


def test_the_first_name_that_says_anything_counts() -> None:
    assert manner_of(None, "", "claude-sonnet-5") is manner_of("anthropic/claude-3-haiku")
    assert manner_of(None, None) is manner_of("fallback")
