"""What each unit of consumption costs: femtodollars per token, millisecond, character, image or call.

A `Rates` is complete in itself. Where a price list has no price of its own for a part, the part takes the
price of what it belongs to: cached tokens that of fresh ones, audio and images that of text. None therefore
means that nothing in the list applies, which is never the same as free.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

TOKEN_RATES = (
    "input",
    "cached_input",
    "cache_write",
    "cache_write_long",
    "output",
    "input_audio",
    "cached_audio",
    "output_audio",
    "input_image",
    "cached_image",
    "output_image",
)
_LIKE = {
    "cached_input": "input",
    "cache_write": "input",
    "cache_write_long": "cache_write",
    "input_audio": "input",
    "input_image": "input",
    "output_audio": "output",
    "output_image": "output",
}
"""Which price a missing one takes. The order matters: each is resolved from those above it."""


@dataclass(frozen=True, slots=True)
class ImageRates:
    """Prices of whole images by size and quality, for models that are not billed by tokens."""

    by_size: Mapping[str, Mapping[str, int]]
    """Femtodollars per image: size → quality → rate. Both in lower case."""
    size: str
    """What the API takes when a request names no size."""
    quality: str
    """What the API takes when a request names no quality."""

    def rate(self, size: str | None, quality: str | None) -> int:
        """The price of one image. A size or quality that is not listed costs as much as the dearest that
        fits.
        """
        listed = self.by_size.get((size or self.size).lower())
        sizes = [listed] if listed is not None else list(self.by_size.values())
        wanted = (quality or self.quality).lower()
        exact = [qualities[wanted] for qualities in sizes if wanted in qualities]
        return max(exact or [rate for qualities in sizes for rate in qualities.values()])

    def ceiling(self, other: "ImageRates") -> "ImageRates":
        """Each price the dearer of both."""
        sizes = {*self.by_size, *other.by_size}
        return ImageRates(
            {
                size: {
                    quality: max(self.rate(size, quality), other.rate(size, quality))
                    for quality in {*self.by_size.get(size, {}), *other.by_size.get(size, {})}
                }
                for size in sizes
            },
            self.size,
            self.quality,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """One complete set of prices, in femtodollars per unit."""

    input: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_long: int | None = None
    output: int | None = None
    input_audio: int | None = None
    cached_audio: int | None = None
    output_audio: int | None = None
    input_image: int | None = None
    cached_image: int | None = None
    output_image: int | None = None
    millisecond: int | None = None
    character: int | None = None
    call: int | None = None
    """Charged once for each call that consumed anything."""
    images: ImageRates | None = None

    @classmethod
    def resolve(cls, stated: Mapping[str, int], images: ImageRates | None = None) -> "Rates":
        """The complete set from what a price list states, missing parts priced like what they belong to."""
        known: dict[str, int | None] = dict(stated)
        for part, whole in _LIKE.items():
            if known.get(part) is None:
                known[part] = known.get(whole)
        for modality in ("audio", "image"):
            if known.get(f"cached_{modality}") is None:
                known[f"cached_{modality}"] = _cached(stated, modality, known)
        return cls(**known, images=images)

    def ceiling(self, other: "Rates") -> "Rates":
        """Each price the dearer of both; a price that only one has is kept."""
        dearer = {
            field.name: max(
                (
                    rate
                    for rate in (getattr(self, field.name), getattr(other, field.name))
                    if rate is not None
                ),
                default=None,
            )
            for field in fields(self)
            if field.name != "images"
        }
        images = self.images or other.images
        if self.images and other.images:
            images = self.images.ceiling(other.images)
        return Rates(**dearer, images=images)

    @property
    def bills_tokens(self) -> bool:
        """Whether tokens have a price here at all."""
        return self.input is not None or self.output is not None

    @property
    def free(self) -> bool:
        """Input and output have a price of 0, and nothing else has one that is not."""
        stated = [getattr(self, field.name) for field in fields(self) if field.name != "images"]
        return self.input == 0 and self.output == 0 and not any(stated) and self.images is None


def _cached(stated: Mapping[str, int], modality: str, known: Mapping[str, int | None]) -> int | None:
    """Cached audio without a price of its own costs as fresh audio does, or as cached text where text is
    meant.
    """
    if f"input_{modality}" in stated:
        return stated[f"input_{modality}"]
    return known.get("cached_input")
