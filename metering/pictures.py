"""How many tokens a picture is, by the rules that providers document for their models.

Two rules are OpenAI's: a base and a price for each tile of 512 pixels, after scaling into 2,048 × 2,048 and to 768 at
the shorter side; or patches of 32 pixels up to a budget, times a factor. Anthropic divides the area by 750. A model
that none of them is known for has no bound but its context window.
"""

from dataclasses import dataclass

from metering.asks import ImageInput

_GUESSED_SIDE = 1_024
"""Pixels of a side where only the provider can know the size."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """`base` tokens, and `tile` for each square of 512 pixels; at low detail the base alone."""

    base: int
    tile: int
    extra: int = 0
    """What a high fidelity to the picture adds at most."""

    def expected(self, width: int, height: int, detail: str) -> int:
        if detail == "low":
            return self.base
        longer, shorter = max(width, height), min(width, height)
        if longer > 2_048:
            longer, shorter = 2_048, max(1, -(-shorter * 2_048 // longer))
        if shorter > 768:
            longer, shorter = -(-longer * 768 // shorter), 768
        return self.base + self.tile * (-(-longer // 512) * -(-shorter // 512))

    def most(self, width: int | None, height: int | None, detail: str) -> int:
        del width, height, detail  # The scaling bounds any picture, whatever its header says.
        return self.base + 8 * self.tile + self.extra


@dataclass(frozen=True, slots=True)
class Patches:
    """A patch is 32 × 32 pixels; so many at most, each so many hundredths of a token."""

    budget: int
    hundredths: int
    budget_original: int | None = None
    """The budget at the detail `original`, where the model has it; `auto` may choose it."""
    hundredths_most: int | None = None
    """The documented factor where answers were billed by a smaller one."""

    def expected(self, width: int, height: int, detail: str) -> int:
        budget = (self.budget_original or self.budget) if detail == "original" else self.budget
        return -(-min(-(-width // 32) * -(-height // 32), budget) * self.hundredths // 100)

    def most(self, width: int | None, height: int | None, detail: str) -> int:
        del width, height, detail
        budget = self.budget_original or self.budget
        return -(-budget * (self.hundredths_most or self.hundredths) // 100)


@dataclass(frozen=True, slots=True)
class Area:
    """One token for so many pixels, up to a number of tokens."""

    pixels: int
    usual_most: int
    bound: int

    def expected(self, width: int, height: int, detail: str) -> int:
        del detail
        return min(-(-width * height // self.pixels), self.usual_most)

    def most(self, width: int | None, height: int | None, detail: str) -> int:
        del width, height, detail
        return self.bound


Rule = Tiles | Patches | Area

_RULES: tuple[tuple[str, Rule], ...] = (
    ("gpt-4o-mini", Tiles(2_833, 5_667)),
    ("gpt-4.1-mini", Patches(1_536, 162)),
    ("gpt-4.1-nano", Patches(1_536, 246)),
    ("gpt-4", Tiles(85, 170)),
    ("chatgpt-4o", Tiles(85, 170)),
    ("o4-mini", Patches(1_536, 172)),
    ("codex-mini", Patches(1_536, 172)),
    ("o1", Tiles(75, 150)),
    ("o3", Tiles(75, 150)),
    ("computer-use", Tiles(65, 129)),
    ("gpt-image", Tiles(65, 129, extra=6_240)),
    ("chatgpt-image", Tiles(65, 129, extra=6_240)),
    ("gpt-5-mini", Patches(2_500, 120, hundredths_most=162)),
    ("gpt-5-nano", Patches(2_500, 150, hundredths_most=246)),
    ("gpt-5.", Patches(2_500, 120, budget_original=10_000, hundredths_most=162)),
    ("gpt-5", Tiles(70, 140)),
    ("gpt-6", Patches(2_500, 120, budget_original=10_000, hundredths_most=162)),
    ("claude-", Area(750, 1_600, 4_784)),
)
"""By the beginning of the model's name, the first that fits; `gpt-5.` stands before `gpt-5`."""


def expected_tokens(model: str, image: ImageInput) -> int:
    """What an image in the prompt most likely is."""
    rule = _rule(model) or Tiles(85, 170)
    return rule.expected(image.width or _GUESSED_SIDE, image.height or _GUESSED_SIDE, image.detail)


def most_tokens(model: str, image: ImageInput) -> int | None:
    """What an image in the prompt is at most; None where nothing documented says it."""
    rule = _rule(model)
    return None if rule is None else rule.most(image.width, image.height, image.detail)


def _rule(model: str) -> Rule | None:
    bare = model.removeprefix("ft:")
    return next((rule for start, rule in _RULES if bare.startswith(start)), None)


_MADE = {
    ("1024x1024", "low"): 272,
    ("1024x1024", "medium"): 1_056,
    ("1024x1024", "high"): 4_160,
    ("1024x1536", "low"): 408,
    ("1024x1536", "medium"): 1_584,
    ("1024x1536", "high"): 6_240,
    ("1536x1024", "low"): 400,
    ("1536x1024", "medium"): 1_568,
    ("1536x1024", "high"): 6_208,
}
"""Output tokens of an image that gpt-image-1 makes, from OpenAI's guide to image generation."""
_PARTIAL_TOKENS = 100
_MADE_MODELS = {"gpt-image-1": 1, "gpt-image-1-mini": 1, "gpt-image-1.5": 2, "chatgpt-image-latest": 2}
"""How many times that table a model puts out at most: answers of gpt-image-1.5 exceeded it by half."""


def expected_made(size: str | None, quality: str | None) -> int:
    """Output tokens that an image to be made most likely is; high quality where the model chooses."""
    fitting = _fitting(size, quality)
    return max(fitting) if fitting else max(_MADE.values())


def most_made(model: str, size: str | None, quality: str | None) -> int | None:
    """Output tokens of an image to be made at most; None where no table is published for the model."""
    times = _MADE_MODELS.get(model)
    if times is None:
        return None
    return times * max(_fitting(size, quality), default=max(_MADE.values()))


def partial_made(count: int) -> int:
    """Output tokens of the unfinished images that a stream shows."""
    return count * _PARTIAL_TOKENS


def _fitting(size: str | None, quality: str | None) -> list[int]:
    """Entries of that size and quality; one that the table does not list, such as `auto`, fits with each."""
    sizes, qualities = {key[0] for key in _MADE}, {key[1] for key in _MADE}
    return [
        tokens
        for (of_size, of_quality), tokens in _MADE.items()
        if (size not in sizes or size == of_size) and (quality not in qualities or quality == of_quality)
    ]
