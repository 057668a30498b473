"""All paths of a few frames, for the tests of searches."""

import itertools

import numpy as np


def random_frames(rng, num, num_frames, vocab):
    """Log probabilities (num, T, V) float32 of random sharpness."""
    x = rng.normal(size=(num, num_frames, vocab)) * rng.choice([0.5, 2.0, 5.0])
    return (x - np.log(np.exp(x).sum(-1, keepdims=True))).astype(np.float32)


def all_prefixes(log_probs, blank_id):
    """(ids, probability) of every label sequence of (T, V) frames, likeliest first."""
    probs, mass = np.exp(log_probs.astype(np.float64)), {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        ids = tuple(c for c, _ in itertools.groupby(path) if c != blank_id)
        own = np.prod([probs[t, c] for t, c in enumerate(path)])
        mass[ids] = mass.get(ids, 0.0) + own
    return sorted(mass.items(), key=lambda item: -item[1])
