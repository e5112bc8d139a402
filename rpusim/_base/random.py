"""Seeds: from what a user gives as `rng` to the independent keys of arrays, tiles and trainers."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from rpusim._base.validation import shown

__all__ = ["RNG", "child", "generator", "key", "seed_sequence", "words_of"]

RNG: TypeAlias = "int | np.integer | np.random.SeedSequence | np.random.Generator | None"


def seed_sequence(rng: RNG) -> np.random.SeedSequence:
    """Return the seed sequence that `rng` stands for.

    Parameters
    ----------
    rng : int, SeedSequence, Generator or None
        An int or a SeedSequence always gives the same streams. A Generator is advanced by four words, so that a second
        object made from it is independent of the first. None takes fresh entropy from the operating system.
    """
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, np.random.Generator):
        return np.random.SeedSequence(rng.integers(0, 2**32, size=4, dtype=np.uint32).tolist())
    if rng is None:
        return np.random.SeedSequence()
    if isinstance(rng, (bool, np.bool_)) or not isinstance(rng, (int, np.integer)):
        raise TypeError(f"rng must be an int, a numpy SeedSequence, a numpy Generator or None; got {shown(rng)}")
    if rng < 0:
        raise ValueError(f"rng must be a non-negative int; got {shown(rng)}")
    return np.random.SeedSequence(int(rng))


def child(seeds: np.random.SeedSequence, *keys: int) -> np.random.SeedSequence:
    """Return the child of `seeds` named by `keys`; unlike `spawn`, asking twice gives the same child."""
    return np.random.SeedSequence(seeds.entropy, spawn_key=(*seeds.spawn_key, *keys), pool_size=seeds.pool_size)


def generator(seeds: np.random.SeedSequence) -> np.random.Generator:
    """Return a NumPy generator for draws made once, at construction (Philox: counter-based, as the run-time streams are)."""
    return np.random.Generator(np.random.Philox(seeds))


def key(seeds: np.random.SeedSequence) -> int:
    """Return the 64-bit key of a run-time stream."""
    return int(seeds.generate_state(1, np.uint64)[0])


def words_of(seeds: np.random.SeedSequence) -> dict[str, Any]:
    """Return what a seed sequence is made of, as plain integers and lists of them."""
    entropy: Any = seeds.entropy
    return {
        "entropy": int(entropy) if np.ndim(entropy) == 0 else [int(word) for word in entropy],
        "spawn_key": [int(k) for k in seeds.spawn_key],
        "pool_size": seeds.pool_size,
    }
