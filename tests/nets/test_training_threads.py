"""From samples to trained weights: the networks give the same bits for any number of threads."""

import pytest

from acdref.ops.kernel import available

# Large enough that a plain product would be shared among the threads of BLAS.
TRAINING = """if True:
    import hashlib
    import numpy as np
    from acdref.features.front_ends import front_end
    from acdref.losses import bce
    from acdref.nets import registry
    from acdref.optim import AdamW

    def digest(*arrays):
        return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()

    for name, seconds, width in [
        ("acdnet", 2.2, 1), ("vgg-gap", 1.2, 0.25), ("conv1d", 10, 0.25), ("resnet50", 0.975, 0.25),
        ("mobilenetv2", 1, 0.5),
    ]:
        rng = np.random.default_rng(3)
        net = registry.build(name, 5, width, 1, backend="BACKEND", **registry.SEVERAL_CLASSES.get(name, {}))
        front = front_end(net)
        sounds = rng.standard_normal((2, round(seconds * front.rate))).astype(np.float32)
        x = np.stack([front.transform(sound) for sound in sounds])
        y = rng.integers(0, 2, (2, 5)).astype(float)
        optimiser = AdamW(net.params, 1e-3)
        for step in range(2):
            net.rng = np.random.default_rng(step)  # what dropout draws from
            logits, tape = net.forward(x, train=True)
            grads = net.backward(tape, bce(y, logits)[1])
            optimiser.step(grads)
        print(name, "sees", digest(x))
        print(name, "says", digest(logits, net.predict_proba(x)))
        print(name, "gradients", digest(*(grads[key] for key in sorted(grads))))
        print(name, "learns", digest(*net.params.values(), *net.state.values()))
"""
BACKENDS = ["numpy", pytest.param("numba", marks=pytest.mark.skipif(not available(), reason="needs Numba"))]


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_is_the_same_for_any_number_of_threads(with_blas_threads, backend):
    one, two, four = with_blas_threads(TRAINING.replace("BACKEND", backend), (1, 2, 4))
    assert len({line.split()[-1] for line in one.splitlines()}) == 4 * 5
    assert two.splitlines() == one.splitlines()
    assert four.splitlines() == one.splitlines()
