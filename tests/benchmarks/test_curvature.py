"""The benchmarks of second derivatives: that every contender runs, and that the Fisher diagonals are the same."""

import numpy as np
import pytest

from benchmarks import curvature
from benchmarks.training import batch_of
from minicompress import nn


def test_every_job_can_be_made_and_runs():
    jobs = list(curvature.jobs())
    assert len({job.name for job in jobs}) == len(jobs)
    for job in [curvature.curvature_job(2, True, None), curvature.curvature_job(2, False, 1.0)]:
        contenders = job.make()
        assert next(iter(contenders)) == "ours"
        for call in contenders.values():
            call()


def test_the_fisher_diagonal_is_the_mean_of_squared_gradients_of_single_samples():
    (x, labels), model = batch_of((3, 784)), curvature.our_model()
    expected = [np.zeros_like(p.data) for p in model.parameters()]
    for i in range(3):
        model.learn(nn.cross_entropy(model.forward(x[i : i + 1]), labels[i : i + 1])[1])
        for total, parameter in zip(expected, model.parameters(), strict=True):
            total += parameter.grad**2 / 3
            parameter.clear()
    for found, wanted in zip(curvature.our_fisher(3)(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-9)


def test_pytorch_computes_the_same():
    pytest.importorskip("torch")
    for found, theirs in zip(curvature.our_fisher(3)(), curvature.torch_fisher(3)(), strict=True):
        np.testing.assert_allclose(found, theirs.numpy(), rtol=1e-3, atol=1e-9)
