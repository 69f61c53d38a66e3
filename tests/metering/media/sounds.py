"""Audio files of each container, made by hand: as few bytes as their readers look at."""

import struct


def wav(
    data: bytes,
    stated: int | None = None,
    extra: bytes = b"",
    *,
    coding: int = 1,
    align: int = 2,
    bits: int = 16,
) -> bytes:
    """One channel of 8,000 samples a second."""
    form = struct.pack("<IHHIIHH", 16, coding, 1, 8_000, 16_000, align, bits)
    size = len(data) if stated is None else stated
    return b"RIFF\0\0\0\0WAVEfmt " + form + extra + b"data" + struct.pack("<I", size) + data


def mp3_frame(bitrate_code: int = 9) -> bytes:
    """MPEG 1, layer 3, 44.1 kHz: 1,152 samples; 128 kbit/s make 417 bytes of it, code 14 is 320."""
    size = (
        144
        * (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[bitrate_code]
        * 1_000
        // 44_100
    )
    return bytes([0xFF, 0xFB, bitrate_code << 4, 0]) + b"\x00" * (size - 4)


def xing(frames: int) -> bytes:
    return b"\xff\xfb\x90\x00" + b"\x00" * 32 + b"Xing" + struct.pack(">II", 1, frames) + b"\x00" * 369


def id3(content: bytes) -> bytes:
    return b"ID3\x04\x00\x00" + bytes(len(content) >> shift & 0x7F for shift in (21, 14, 7, 0)) + content


def flac(rate: int, stated: int, *frames: bytes) -> bytes:
    packed = (rate << 44 | stated).to_bytes(8)
    return b"fLaC\x80\x00\x00\x22" + b"\x00" * 10 + packed + b"\x00" * 16 + b"".join(frames)


def flac_frame(
    number: int, *, rate_code: int = 0, more: bytes = b"", size: int = 4_096, content: int = 100
) -> bytes:
    header = b"\xff\xf8" + bytes([7 << 4 | rate_code, 0, number]) + (size - 1).to_bytes(2) + more
    return header + bytes([_crc8(header)]) + b"\x00" * content


def _crc8(header: bytes) -> int:
    value = 0
    for byte in header:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x07 if value & 0x80 else 0)) & 0xFF
    return value


def page(flags: int, position: int, *packets: bytes, serial: int = 1) -> bytes:
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    head = b"OggS\x00" + struct.pack("<BQIII", flags, position, serial, 0, 0) + bytes([len(lacing)])
    return head + lacing + b"".join(packets)


OPUS_20_MS = b"\x78" + b"\x00" * 39
"""One frame of 20 milliseconds, 960 samples."""


def opus(position: int, packets: int = 50, skipped: int = 312, serial: int = 1) -> bytes:
    head = b"OpusHead\x01\x01" + struct.pack("<HI", skipped, 16_000) + b"\x00" * 3
    start = page(2, 0, head, serial=serial) + page(0, 0, b"OpusTags" + b"\x00" * 300, serial=serial)
    made = [
        page(0, 2**64 - 1, *[OPUS_20_MS] * min(50, packets - done), serial=serial)
        for done in range(0, packets, 50)
    ]
    return start + b"".join(made) + page(4, position, serial=serial)


def vorbis(position: int, rate: int = 44_100, packets: int = 0) -> bytes:
    """Blocks of 256 and 2,048 samples."""
    head = b"\x01vorbis" + struct.pack("<IBI", 0, 2, rate) + b"\x00" * 12 + b"\xb8\x01"
    start = page(2, 0, head) + page(0, 0, b"\x03vorbis", b"\x05vorbis")
    return start + b"".join(page(0, 2**64 - 1, b"\x00" * 40) for _ in range(packets)) + page(4, position)


def ogg_flac(position: int, rate: int = 44_100) -> bytes:
    return page(2, 0, b"\x7fFLAC" + b"\x00" * 22 + (rate << 4).to_bytes(3) + b"\x00" * 10) + page(4, position)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def mvhd(scale: int, duration: int, version: int = 0, name: bytes = b"mvhd") -> bytes:
    times = ">QQIQ" if version else ">IIII"
    return box(name, bytes([version, 0, 0, 0]) + struct.pack(times, 0, 0, scale, duration) + b"\x00" * 80)


def mp4(*inner: bytes, behind: bytes = b"") -> bytes:
    return box(b"ftyp", b"M4A \x00\x00\x00\x00") + box(b"moov", b"".join(inner)) + behind


def aac_track(
    samples: int, *, settings: bytes = b"\x12\x08", codec: bytes = b"mp4a", extra: bytes = b""
) -> bytes:
    """AAC of 44.1 kHz, unless its settings say otherwise: five bits for the kind and four for the rate."""
    coder = b"\x05" + bytes([len(settings)]) + settings
    decoder = b"\x04\x80\x80\x80" + bytes([13 + len(coder)]) + b"\x40" + b"\x00" * 12 + coder
    described = box(b"esds", b"\x00" * 4 + b"\x03" + bytes([3 + len(decoder)]) + b"\x00\x01\x00" + decoder)
    entry = box(codec, b"\x00" * 28 + described)
    tables = box(b"stsd", struct.pack(">II", 0, 1) + entry) + box(
        b"stsz", struct.pack(">III", 0, 100, samples)
    )
    return box(
        b"trak",
        box(b"tkhd", b"\x00" * 12 + struct.pack(">I", 1) + b"\x00" * 68)
        + extra
        + box(
            b"mdia",
            mvhd(44_100, 44_100, name=b"mdhd")
            + box(b"hdlr", b"\x00" * 8 + b"soun" + b"\x00" * 12)
            + box(b"minf", box(b"hdlr", b"\x00" * 8 + b"alis" + b"\x00" * 12) + box(b"stbl", tables)),
        ),
    )


def fragment(samples: int, track: int = 1) -> bytes:
    head = box(b"tfhd", struct.pack(">II", 0, track))
    return box(b"moof", box(b"traf", head + box(b"trun", struct.pack(">II", 0, samples))))


def element(name: int, content: bytes, *, open_end: bool = False) -> bytes:
    size = b"\x01" + b"\xff" * 7 if open_end else (1 << 28 | len(content)).to_bytes(4)
    return name.to_bytes((name.bit_length() + 7) // 8) + size + content


def webm(*inner: bytes) -> bytes:
    return element(0x1A45DFA3, b"") + element(0x18538067, b"".join(inner), open_end=True)


def codec(name: bytes) -> bytes:
    return element(0x1654AE6B, element(0xAE, element(0x86, name)))


def duration(ms: float) -> bytes:
    return element(0x1549A966, element(0x4489, struct.pack(">d", ms)))


def cluster(at_ms: int, *blocks: int, packet: bytes = OPUS_20_MS, flags: int = 0) -> bytes:
    made = b"".join(element(0xA3, b"\x81" + struct.pack(">hB", time, flags) + packet) for time in blocks)
    return element(0x1F43B675, element(0xE7, at_ms.to_bytes(3)) + made, open_end=True)
