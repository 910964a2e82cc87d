"""Expected values of losses and optimisers against PyTorch, of schedules against plain loops."""

import math

import numpy as np
import pytest
from conform_support import assert_consistent, assert_right, by_function

from acdref.conform import training

torch = pytest.importorskip("torch")
F = torch.nn.functional

FUNCTIONS = by_function(training.cases())


def variants(function):
    return FUNCTIONS[function].values()


def test_one_signature_a_function_and_mistakes_fail():
    assert_consistent(FUNCTIONS)


@pytest.mark.parametrize(
    ("name", "given", "function"),
    [
        ("bce", "logits", F.binary_cross_entropy_with_logits),
        ("bce_probabilities", "probabilities", F.binary_cross_entropy),
        ("mse", "probabilities", F.mse_loss),
    ],
)
def test_masked_losses_are_pytorchs(name, given, function):
    for case in variants(f"losses/{name}"):
        y, x = torch.tensor(case.inputs["labels"]), torch.tensor(case.inputs[given]).requires_grad_()
        known = ~torch.isnan(y)
        total = function(x[known], y[known], reduction="sum")
        loss = total / [max(int(known.sum()), 1), y.numel(), 1][case.inputs["denominator"]]
        loss.backward()
        assert_right(case, {"loss": loss.item(), "gradient": x.grad.numpy()})


def test_softmax_cross_entropy_is_pytorchs():
    for case in variants("losses/softmax_cross_entropy"):
        y, z = torch.tensor(case.inputs["labels"]), torch.tensor(case.inputs["logits"]).requires_grad_()
        known = ~torch.isnan(y).any(1)
        loss = F.cross_entropy(z[known], y[known], reduction="sum") / max(int(known.sum()), 1)
        loss.backward()
        assert_right(case, {"loss": loss.item(), "gradient": z.grad.numpy()})


def test_adamw_is_pytorchs():
    for case in variants("optimisers/adamw"):
        i = case.inputs
        p = torch.tensor(i["parameters"], requires_grad=True)
        how = {"betas": (i["beta1"], i["beta2"]), "eps": i["epsilon"], "weight_decay": i["weight_decay"]}
        adam, path = torch.optim.AdamW([p], lr=i["lr"], **how), []
        for gradient in i["gradients"]:
            p.grad = torch.tensor(gradient)
            adam.step()
            path.append(p.detach().numpy().copy())
        assert_right(case, {"path": np.array(path)})


def test_averages_by_a_loop():
    for case in variants("optimisers/average"):
        (a, *values), averages = case.inputs["values"], []
        for t, value in enumerate(values):
            past = min(case.inputs["decay"], t / (t + 9))
            a = past * a + (1 - past) * value
            averages.append(a)
        assert_right(case, {"averages": averages})


def test_plateau_is_pytorchs():
    for case in variants("schedules/plateau"):
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser,
            "max",
            factor=case.inputs["factor"],
            patience=int(case.inputs["patience"]),
            threshold=0,
            eps=0,
        )
        factors = []
        for score in case.inputs["scores"]:
            plateau.step(score)
            factors.append(optimiser.param_groups[0]["lr"])
        assert_right(case, {"factors": factors})


def test_schedules_by_loops():
    for case in variants("schedules/cosine"):
        total, warmup, factors = case.inputs["total"], case.inputs["warmup"], []
        for step in case.inputs["steps"]:
            share = min((step - warmup) / max(total - warmup, 1), 1)
            factors.append((step + 1) / warmup if step < warmup else math.cos(math.pi / 2 * share) ** 2)
        assert_right(case, {"factors": factors})
    for case in variants("schedules/linear"):
        total, constant = case.inputs["total"], case.inputs["constant"]
        falling = np.linspace(1, 0, total - constant + 1)[1:]
        assert_right(case, {"factors": np.concatenate([np.ones(constant), falling])})
