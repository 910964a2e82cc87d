"""Cases of losses, optimisers and schedules."""

import math
from collections.abc import Iterator

import numpy as np

from acdref.conform.writing import Case, Mistake
from acdref.losses import bce, bce_probabilities, mse, softmax_cross_entropy
from acdref.optim import AdamW, Average, Plateau, cosine, linear

_DENOMINATORS = ("unmasked", "all", "sum")
_NAN = np.nan


def cases() -> Iterator[Case]:
    """All of this section's."""
    yield from _masked_losses()
    yield from _softmax_cross_entropy()
    yield from _adamw()
    yield from _average()
    yield from _schedules()
    yield from _plateau()


def _masked_losses():
    rng = np.random.default_rng(1)
    y = np.array([[1, 0, _NAN, 0.3], [_NAN, 1, 1, 0], [0, 0.75, 0, _NAN]])
    unknown = np.full((2, 3), _NAN)
    logits = rng.normal(0, 3, y.shape)
    logits[0, 1], logits[1, 1] = -800, -40
    p = rng.uniform(0.02, 0.98, y.shape)
    edges = np.array([[1, 0, 0.5], [1, 0, 0]]), np.array([[0, 1, 0], [1, 0, 1e-14]], float)
    functions = {
        "bce": (bce, "logits", "max(z, 0) - z y + log(1 + exp(-|z|))", logits),
        "bce_probabilities": (bce_probabilities, "probabilities", "-(y log p + (1 - y) log(1 - p))", p),
        "mse": (mse, "probabilities", "(p - y)^2", p),
    }
    for name, (function, given, formula, x) in functions.items():
        variants = {kind: (y, x, kind) for kind in _DENOMINATORS}
        variants["none_known"] = unknown, x[:2, :3], "unmasked"
        if name == "bce_probabilities":
            variants["floors"] = *edges, "unmasked"
        for variant, (labels, predictions, denominator) in variants.items():
            yield _loss(f"{name}/{variant}", function, formula, given, labels, predictions, denominator)


def _loss(name, function, formula, given, labels, predictions, denominator):
    loss, gradient = function(labels, predictions, denominator)
    mistakes, known = [], ~np.isnan(labels)
    for other in _DENOMINATORS:
        value, slope = function(labels, predictions, other)
        if abs(value - loss) > 1e-6:
            cause = f"the sum was divided as by the denominator {_DENOMINATORS.index(other)}"
            mistakes.append(Mistake(cause, {"loss": value, "gradient": slope}))
    if known.any() and not known.all():
        value, slope = function(np.nan_to_num(labels), predictions, denominator)
        mistakes.append(Mistake("unknown labels were 0", {"loss": value, "gradient": slope}))
    return Case(
        f"losses/{name}",
        f"sum of {formula} over the known labels, over the denominator; its gradient",
        {"labels": labels, given: predictions, "denominator": _DENOMINATORS.index(denominator)},
        {"loss": loss, "gradient": gradient},
        rtol=1e-9,
        atol=1e-12,
        mistakes=mistakes,
    )


def _softmax_cross_entropy():
    rng = np.random.default_rng(2)
    z = rng.normal(0, 2, (4, 5))
    z[1] += 1000
    y = np.eye(5)[[0, 3, 2, 1]]
    mixed = 0.7 * y + 0.3 * y[::-1]
    some = mixed.copy()
    some[2, 4] = _NAN
    for variant, labels in (
        ("classes", y),
        ("mixtures", mixed),
        ("unknown_row", some),
        ("none_known", y * _NAN),
    ):
        loss, gradient = softmax_cross_entropy(labels, z)
        mistakes = []
        if variant == "unknown_row":
            known = ~np.isnan(labels).any(1)
            wrong = {
                "loss": loss * known.sum() / len(labels),
                "gradient": gradient * known.sum() / len(labels),
            }
            mistakes = [Mistake("unknown rows counted in the mean", wrong)]
        yield Case(
            f"losses/softmax_cross_entropy/{variant}",
            "mean over the known rows of -sum_c y_c log softmax(z)_c; its gradient",
            {"labels": labels, "logits": z},
            {"loss": loss, "gradient": gradient},
            "2",
            rtol=1e-9,
            atol=1e-12,
            mistakes=mistakes,
        )


def _adamw():
    rng = np.random.default_rng(3)
    start, gradients = rng.normal(size=4), rng.normal(size=(5, 4)) * [1, 1e-3, 1e-7, 0]
    for variant, lr, betas, epsilon, decay in (
        ("defaults", 1e-4, (0.9, 0.999), 1e-8, 0.01),
        ("large_steps", 0.1, (0.8, 0.95), 1e-6, 0.5),
        ("no_decay_is_adam", 0.01, (0.9, 0.999), 1e-8, 0.0),
    ):
        settings = {"lr": lr, "beta1": betas[0], "beta2": betas[1], "epsilon": epsilon, "weight_decay": decay}
        params, path = {"w": start.copy()}, []
        optimiser = AdamW(params, lr, betas, epsilon, decay)
        for gradient in gradients:
            optimiser.step({"w": gradient})
            path.append(params["w"].copy())
        wrong = {
            "moments were not corrected for their start": {"corrected": False},
            "epsilon stood inside the root": {"inside": True},
        }
        if decay > 0.1:
            wrong["weight decay was added to the gradient (Adam with L2)"] = {"coupled": True}
            wrong["weight decay was not multiplied by the learning rate"] = {"free": True}
        yield Case(
            f"optimisers/adamw/{variant}",
            "p -= lr (weight_decay p + m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon))",
            {"parameters": start, "gradients": gradients} | settings,
            {"path": np.array(path)},
            rtol=1e-10,
            atol=1e-13,
            mistakes=[
                Mistake(cause, {"path": _adam_path(start, gradients, **settings, **how)})
                for cause, how in wrong.items()
            ],
        )


def _adam_path(p, gradients, *, lr, beta1, beta2, epsilon, weight_decay, corrected=True, inside=False,
               coupled=False, free=False):  # fmt: skip
    """Adam from the textbook, with mistakes to choose from."""
    m, v, path = 0.0, 0.0, []
    for t, g in enumerate(gradients, 1):
        g = g + weight_decay * p if coupled else g
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        mh, vh = (m / (1 - beta1**t), v / (1 - beta2**t)) if corrected else (m, v)
        root = np.sqrt(vh + epsilon) if inside else np.sqrt(vh) + epsilon
        decay = 0 if coupled else weight_decay / lr if free else weight_decay
        p = p - lr * (decay * p + mh / root)
        path.append(p)
    return np.array(path)


def _average():
    values = np.random.default_rng(4).normal(size=(14, 3))
    for variant, decay in (("early", 0.999), ("capped", 0.5), ("none", 0.0)):
        average, path, fixed = Average({"w": values[0]}, decay), [], [values[0]]
        for a in values[1:]:
            average.update({"w": a})
            path.append(average.values["w"].copy())
            fixed.append(decay * fixed[-1] + (1 - decay) * a)
        cause = "the share of the past was the decay from the start"
        yield Case(
            f"optimisers/average/{variant}",
            "a += (1 - min(decay, t / (t + 9))) (w - a), t = 0, 1, ...",
            {"values": values, "decay": decay},
            {"averages": np.array(path)},
            rtol=1e-12,
            atol=1e-13,
            mistakes=[Mistake(cause, {"averages": np.array(fixed[1:])})] if decay else [],
        )


def _schedules():
    for variant, total, warmup in (("no_warmup", 5, 0), ("warmup", 8, 2), ("only_warmup", 3, 3)):
        steps = np.arange(total + 2)
        factors = np.array([cosine(int(step), total, warmup) for step in steps])
        late = np.array([0.5 * (1 + math.cos(math.pi * min(step / total, 1))) for step in steps])
        for step in range(warmup):
            late[step] = step / warmup
        yield Case(
            f"schedules/cosine/{variant}",
            "(step + 1) / warmup, then (1 + cos(pi (step - warmup) / (total - warmup))) / 2",
            {"steps": steps, "total": total, "warmup": warmup},
            {"factors": factors},
            rtol=1e-12,
            atol=1e-12,
            mistakes=[Mistake("the cosine began at step 0, under the warm-up", {"factors": late})]
            if warmup
            else [],
        )
    for variant, total, constant in (("constant_first", 6, 2), ("from_the_start", 4, 0)):
        epochs = np.arange(total)
        factors = np.array([linear(int(epoch), total, constant) for epoch in epochs])
        late = np.where(epochs < constant, 1, 1 - (epochs - constant) / (total - constant))
        yield Case(
            f"schedules/linear/{variant}",
            "1, from epoch constant on 1 - (epoch - constant + 1) / (total - constant)",
            {"epochs": epochs, "total": total, "constant": constant},
            {"factors": factors},
            "2, section 3",
            rtol=1e-12,
            atol=1e-12,
            mistakes=[Mistake("the fall began an epoch late", {"factors": late})],
        )


def _plateau():
    scores = np.array([0.5, 0.4, 0.5, 0.5, 0.6, _NAN, 0.6, 0.6, 0.1, 0.2, 0.7, 0.7, 0.7])
    for variant, patience, factor in (("patience_1", 1, 0.5), ("patience_0", 0, 0.1), ("patience_3", 3, 0.5)):
        rates = _plateau_path(scores, patience, factor)
        early, total = _plateau_path(scores, patience - 1, factor), []
        scale, best, waited = 1.0, -math.inf, 0
        for score in scores:
            best, waited = (score, 0) if score > best else (best, waited + 1)
            scale *= factor if waited > patience else 1
            total.append(scale)
        mistakes = [Mistake("the rate fell at, not behind, the last patient epoch", {"factors": early})]
        if not np.allclose(total, rates):
            mistakes.append(
                Mistake("the count was not set back when the rate fell", {"factors": np.array(total)})
            )
        yield Case(
            f"schedules/plateau/{variant}",
            "times factor when more than patience scores in a row are no new best; then counted anew",
            {"scores": scores, "patience": patience, "factor": factor},
            {"factors": rates},
            "1, section 2.2",
            rtol=1e-12,
            mistakes=mistakes,
        )


def _plateau_path(scores, patience, factor):
    plateau = Plateau(patience, factor)
    return np.array([plateau.update(float(score)) for score in scores])
