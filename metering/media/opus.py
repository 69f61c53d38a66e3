"""Opus: how long a packet plays, by its first two bytes (RFC 6716, 3.1). Samples are of 48 kHz."""

RATE = 48_000

_FRAMES = (
    *(480, 960, 1_920, 2_880) * 3,
    *(480, 960) * 2,
    *(120, 240, 480, 960) * 4,
)
"""Samples of a frame by the configuration, the upper five bits of the first byte."""


def packet_samples(start: bytes) -> int:
    """Samples of the packet that starts so; 0 of an empty one."""
    if not start:
        return 0
    frame, code = _FRAMES[start[0] >> 3], start[0] & 3
    if code < 3:
        return frame if code == 0 else 2 * frame
    return frame * (start[1] & 0x3F) if len(start) > 1 else 0
