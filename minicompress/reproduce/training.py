"""How most rows train: Adam with a cosine schedule, in silence."""

from __future__ import annotations

from typing import Any

from ..nn import Adam, Layer, cosine, train


def fit(model: Layer, samples: Any, *, epochs: int, lr: float, batch: int, seed: int, **options: Any) -> None:
    """Train in place; the same seed gives the same order of batches, whatever the model. options: those of `train`."""
    for _ in train(model, Adam(model.parameters(), lr), samples, epochs=epochs, rng=seed, batch=batch, schedule=cosine,
                   progress=False, **options):
        pass
