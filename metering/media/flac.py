"""FLAC: samples and sample rate stand in the first metadata block."""


def flac_ms(file: bytes) -> int | None:
    """Duration in milliseconds, rounded up; None where the number of samples was left open."""
    if len(file) < 26 or file[4] & 0x7F:
        return None
    packed = int.from_bytes(file[18:26])
    rate = packed >> 44
    samples = packed & 0xFFFFFFFFF
    return -(-samples * 1000 // rate) if rate and samples else None
