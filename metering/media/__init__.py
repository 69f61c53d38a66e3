"""What can be told of media from their bytes: how long audio is, how large an image is.

One module per container. Each reader takes the whole file and answers None where it cannot tell; none of them
raises on garbage.

    length ◄ opus ◄ wav mp3 flac ogg mp4 webm ◄ audio
    images
"""

from metering.media.audio import audio_length
from metering.media.images import image_size
from metering.media.length import Length

__all__ = ["Length", "audio_length", "image_size"]
