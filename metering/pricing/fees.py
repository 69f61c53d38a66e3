"""What hosted tools cost beside the tokens: searches by the thousand calls, containers by the session."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """Femtodollars per call of a tool, and per session of a container."""

    name: str
    web_search: int
    web_search_preview: int
    """The older search tool, which some models bill at a price of its own."""
    file_search: int
    code_session: int
    regional_percent: int = 0
    """What is added to the price of every token that is computed in one region, where a call can ask for that."""
