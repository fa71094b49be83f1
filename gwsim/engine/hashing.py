"""XXH64, the hash of Envoy's consistent-hashing policies, over the UTF-8 bytes of a text.

Both engines use it, as they use `draws`. Source: Collet, xxHash specification 0.1.1 (XXH64).
"""

from __future__ import annotations

MASK = 0xFFFFFFFFFFFFFFFF
P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def rotl64(x: int, by: int) -> int:
    """Rotate 64 bits to the left."""
    return ((x << by) | (x >> (64 - by))) & MASK


def _round(lane: int, word: int) -> int:
    return rotl64((lane + word * P2) & MASK, 31) * P1 & MASK


def xxh64(text: str, seed: int = 0) -> int:
    """XXH64 of a text."""
    data = text.encode()
    at, h = _stripes(data, seed)
    h = (h + len(data)) & MASK
    while at + 8 <= len(data):
        h = (rotl64(h ^ _round(0, int.from_bytes(data[at : at + 8], "little")), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= len(data):
        h = (rotl64(h ^ (int.from_bytes(data[at : at + 4], "little") * P1 & MASK), 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        h = rotl64(h ^ (byte * P5 & MASK), 11) * P1 & MASK
    h = (h ^ (h >> 33)) * P2 & MASK
    h = (h ^ (h >> 29)) * P3 & MASK
    return h ^ (h >> 32)


def _stripes(data: bytes, seed: int) -> tuple[int, int]:
    """The whole blocks of 32 bytes: how far they go, and the hash after them."""
    if len(data) < 32:
        return 0, (seed + P5) & MASK
    lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
    whole = len(data) // 32 * 32
    for at in range(0, whole, 8):
        lane = at // 8 % 4
        lanes[lane] = _round(lanes[lane], int.from_bytes(data[at : at + 8], "little"))
    h = sum(rotl64(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
    for lane in lanes:
        h = ((h ^ _round(0, lane)) * P1 + P4) & MASK
    return whole, h
