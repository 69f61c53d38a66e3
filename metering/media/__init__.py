"""What can be told of media from their first bytes: how long audio is, how large an image is.

One module per container. Each reader takes the whole file and answers None where it cannot tell; none of them
raises on garbage.

    frames (numbers from bytes) ◄ wav mp3 flac ogg mp4 webm ◄ audio
    images
"""

from metering.media.audio import audio_duration_ms
from metering.media.images import image_size

__all__ = ["audio_duration_ms", "image_size"]
