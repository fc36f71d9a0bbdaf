"""The inputs that every implementation computes on; the same values as in src/cases/inputs.ts."""

import torch


def _hash(length, seed):
    """32-bit hashes with their low 8 bits cleared, in int64 of shape [length]."""
    word = 0xFFFFFFFF
    bits = (torch.arange(length, dtype=torch.int64) + seed * 0x9E3779B9) & word
    bits = ((bits ^ (bits >> 16)) * 0x85EBCA6B) & word
    bits = ((bits ^ (bits >> 13)) * 0xC2B2AE35) & word
    return (bits ^ (bits >> 16)) & 0xFFFFFF00


def uniform(length, seed):
    """Numbers in [-1, 1), float64 of shape [length]; each is exact in float32."""
    return _hash(length, seed).double() / 2**31 - 1


def tokens(length, seed, vocabulary):
    """Token numbers in [0, vocabulary), int64 of shape [length]."""
    return (_hash(length, seed) >> 8) % vocabulary
