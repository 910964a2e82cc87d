"""Both attentions: naive loops, the original layer, PyTorch, derivatives, agreement of the backends."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops_support import (
    AGREEMENT,
    BACKENDS,
    DTYPES,
    SUM_AGREEMENT,
    assert_close,
    assert_threads_do_not_matter,
    derivative_error,
    needs_numba,
    normal,
    relative_error,
    seeds,
)

from acdref.ops import attention
from acdref.ops.attention import (
    attended,
    linear_attention,
    linear_attention_backward,
    separable_attention,
    separable_attention_backward,
)
from acdref.ops.norm import group_norm

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden" / "linear_self_attention.npz"
OPS = {
    "linear": (linear_attention, linear_attention_backward),
    "separable": (separable_attention, separable_attention_backward),
}
kinds = pytest.mark.parametrize("kind", OPS)
both = pytest.mark.parametrize("backend", BACKENDS)
sizes = st.tuples(
    st.sampled_from([1, 2, 33]), st.sampled_from([1, 2, 15, 40]), st.sampled_from([1, 3, 16, 18]),
    st.sampled_from([1, 2, 16, 17]),
)  # fmt: skip


def arguments(rng, kind, n=2, positions=12, c=5, d=4, dtype=np.float64):
    """A map (N, P, C) and the parameters of attention of width D."""
    query = 1 if kind == "separable" else d
    shapes = {"query": (c, query), "key": (c, d), "value": (c, d), "out": (d, c)}
    params = {}
    for name, shape in shapes.items():
        params[f"{name}.weight"] = normal(rng, *shape, dtype=dtype) / dtype(shape[0] ** 0.5)
        params[f"{name}.bias"] = normal(rng, shape[1], dtype=dtype)
    return normal(rng, n, positions, c, dtype=dtype), params


def magnitudes(dy, grads):
    """For :func:`assert_close`: every gradient is measured by the largest of all.

    Some are 0 but for rounding, because softmax is blind to a common offset: those of the bias before it, and
    with a single position those of the weight too.
    """
    largest = max(np.abs(g).max() for g in (dy, *grads.values()))
    return largest, dict.fromkeys(grads, largest)


def forward_magnitudes(kind, y, params):
    """For :func:`assert_close`: bounds of what output, tape and the last projection's input are sums of.

    Softmax weights sum to one, so a weighted mean is as large as what it averages at most.
    """
    k, v = (
        (np.abs(y) @ np.abs(params[f"{name}.weight"])).max() + np.abs(params[f"{name}.bias"]).max()
        for name in ("key", "value")
    )
    if kind == "linear":  # query and key pass through softmax
        mixed, tape = v, (1, 1, v, v)
    else:
        mixed, tape = k * v, (1, k, v, k)
    out = mixed * np.abs(params["out.weight"]).sum(0).max() + np.abs(params["out.bias"]).max()
    return (out, tape), mixed


def softmax(values):
    e = np.exp(values - np.max(values))
    return e / e.sum()


def naive_linear(y, params):
    """Position by position, with the P x P weights that linear attention never forms."""
    out = np.empty_like(y)
    for clip in range(len(y)):
        q, k, v = (y[clip] @ params[f"{n}.weight"] + params[f"{n}.bias"] for n in ("query", "key", "value"))
        q = np.stack([softmax(row) for row in q])
        k = np.stack([softmax(column) for column in k.T], axis=1)
        for p in range(y.shape[1]):
            mixed = sum((q[p] @ k[other]) * v[other] for other in range(y.shape[1]))
            out[clip, p] = mixed @ params["out.weight"] + params["out.bias"]
    return out


def naive_separable(y, params):
    out = np.empty_like(y)
    for clip in range(len(y)):
        q, k, v = (y[clip] @ params[f"{n}.weight"] + params[f"{n}.bias"] for n in ("query", "key", "value"))
        scores = softmax(q[:, 0])
        context = sum(scores[p] * k[p] for p in range(y.shape[1]))
        for p in range(y.shape[1]):
            out[clip, p] = (np.maximum(v[p], 0) * context) @ params["out.weight"] + params["out.bias"]
    return out


@kinds
@both
@pytest.mark.parametrize("positions", [1, 2, 13])
def test_definition(kind, backend, positions, rng):
    forward, _ = OPS[kind]
    y, params = arguments(rng, kind, positions=positions)
    naive = {"linear": naive_linear, "separable": naive_separable}[kind]
    out, _ = forward(y, params, backend=backend)
    assert out.shape == y.shape
    assert relative_error(out, naive(y, params)) <= 1e-13


@both
def test_separable_is_the_original_layer(backend):
    """MobileViTv2's own layer, executed; its patches (pixels of a patch) are clips here."""
    if not GOLDEN.exists():
        pytest.skip("needs golden/linear_self_attention.npz of the specification")
    with np.load(GOLDEN, allow_pickle=False) as golden:
        g = {name: golden[name] for name in golden.files}
    n, c, pixels, patches = g["x"].shape
    clips = np.ascontiguousarray(g["x"].transpose(0, 2, 3, 1)).reshape(n * pixels, patches, c)
    rows = {"query": slice(0, 1), "key": slice(1, 1 + c), "value": slice(1 + c, 1 + 2 * c)}
    params = {"out.weight": np.ascontiguousarray(g["out_weight"].T), "out.bias": g["out_bias"]}
    for name, part in rows.items():
        params[f"{name}.weight"] = np.ascontiguousarray(g["qkv_weight"][part].T)
        params[f"{name}.bias"] = g["qkv_bias"][part]
    out, _ = separable_attention(clips, params, backend=backend)
    np.testing.assert_allclose(
        out.reshape(n, pixels, patches, c).transpose(0, 3, 1, 2), g["y"], rtol=0, atol=1e-12
    )


@kinds
@both
@given(seed=seeds, size=sizes)
@settings(max_examples=15)
def test_directional_derivative(kind, backend, seed, size):
    forward, backward = OPS[kind]
    rng = np.random.default_rng(seed)
    y, params = arguments(rng, kind, *size)
    if kind == "separable":  # relu has no derivative where the values are 0
        value = y @ params["value.weight"] + params["value.bias"]
        if np.abs(value).min() < 1e-3:
            return
    names = list(params)
    dout = normal(rng, *y.shape)
    dy, grads = backward(dout, y, params, forward(y, params, backend=backend)[1], backend=backend)
    assert set(grads) == set(names)

    def f(y, *values):
        return (dout * forward(y, dict(zip(names, values, strict=True)), backend=backend)[0]).sum()

    error = derivative_error(f, (y, *params.values()), (dy, *(grads[name] for name in names)), rng)
    assert error <= 1e-6


@kinds
@needs_numba
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, size=sizes)
@settings(max_examples=25)
def test_backends_agree(kind, dtype, seed, size):
    forward, backward = OPS[kind]
    rng = np.random.default_rng(seed)
    y, params = arguments(rng, kind, *size, dtype)
    dout = normal(rng, *y.shape, dtype=dtype)
    out, tape = forward(y, params)
    scales, mixed = forward_magnitudes(kind, y, params)
    assert_close(forward(y, params, backend="numba"), (out, tape), SUM_AGREEMENT[dtype], scales)
    dy, grads = backward(dout, y, params, tape)
    results = backward(dout, y, params, tape, backend="numba")
    largest, scales = magnitudes(dy, grads)
    # These two are sums over positions and nothing else, and may cancel.
    scales["out.bias"] = np.abs(dout).sum((0, 1))
    scales["out.weight"] = scales["out.bias"] * mixed
    assert_close(results, (dy, grads), AGREEMENT[dtype], (largest, scales))


@kinds
@both
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_as_pytorch(kind, dtype, tolerance, backend, rng):
    torch = pytest.importorskip("torch")
    forward, backward = OPS[kind]
    y, params = arguments(rng, kind, 3, 40, 16, 8, dtype)
    ty = torch.tensor(y, requires_grad=True)
    tparams = {name: torch.tensor(a, requires_grad=True) for name, a in params.items()}

    def project(x, name):
        return x @ tparams[f"{name}.weight"] + tparams[f"{name}.bias"]

    if kind == "linear":
        q, k = project(ty, "query").softmax(2), project(ty, "key").softmax(1)
        context = torch.einsum("npd,npe->nde", k, project(ty, "value"))
        tout = project(torch.einsum("npd,nde->npe", q, context), "out")
    else:
        context = (project(ty, "query").softmax(1) * project(ty, "key")).sum(1, keepdim=True)
        tout = project(project(ty, "value").relu() * context, "out")
    dout = normal(rng, *y.shape, dtype=dtype)
    tout.backward(torch.tensor(dout))
    out, tape = forward(y, params, backend=backend)
    assert_close(out, tout.detach().numpy(), tolerance)
    dy, grads = backward(dout, y, params, tape, backend=backend)
    expected = ty.grad.numpy(), {name: t.grad.numpy() for name, t in tparams.items()}
    assert_close((dy, grads), expected, tolerance, magnitudes(*expected))


@kinds
@both
@given(seed=seeds)
@settings(max_examples=10)
def test_order_of_positions_does_not_matter(kind, backend, seed):
    """Attention knows no places: a permutation of positions permutes the output."""
    forward, _ = OPS[kind]
    rng = np.random.default_rng(seed)
    y, params = arguments(rng, kind, positions=30)
    order = rng.permutation(30)
    out, _ = forward(y, params, backend=backend)
    again, _ = forward(np.ascontiguousarray(y[:, order]), params, backend=backend)
    assert relative_error(again, out[:, order]) <= 1e-12


@kinds
@both
def test_bad_value_spoils_its_clip_only(kind, backend, rng):
    forward, _ = OPS[kind]
    y, params = arguments(rng, kind)
    y[1, 3, 2] = np.nan
    out, _ = forward(y, params, backend=backend)
    assert np.isfinite(out[0]).all()
    assert np.isnan(out[1]).all()


@kinds
@needs_numba
def test_threads_do_not_matter(kind, rng):
    forward, backward = OPS[kind]
    y, params = arguments(rng, kind, 2, 300, 20, 18, np.float32)

    def results():
        out, tape = forward(y, params, backend="numba")
        return out, tape, backward(y, y, params, tape, backend="numba")

    assert_threads_do_not_matter(results)


@pytest.mark.parametrize("strip", [1, 40, 10**6])
@pytest.mark.parametrize("sharpness", [1, 1000])
def test_attended_is_normalisation_attention_and_what_came_in(strip, sharpness, rng, monkeypatch):
    """A few positions at a time or all; also where a key sees one position alone."""
    y, params = arguments(rng, "linear", 2, 21)
    params["key.weight"] *= sharpness
    x = 3 + 2 * y.reshape(2, 7, 3, 5)
    gamma, beta = normal(rng, 5), normal(rng, 5)
    within = linear_attention(group_norm(x, gamma, beta)[0].reshape(y.shape), params)[0]
    monkeypatch.setattr(attention, "_STRIP", strip)
    np.testing.assert_allclose(attended(x, gamma, beta, params), x + within.reshape(x.shape), rtol=1e-10)


@kinds
def test_blas_threads_do_not_matter(kind, with_blas_threads):
    one, two = with_blas_threads(f"""if True:
        import hashlib
        import numpy as np
        from acdref.ops.attention import {kind}_attention, {kind}_attention_backward

        rng = np.random.default_rng(0)
        params = {{}}
        for name in ("query", "key", "value", "out"):
            width = 1 if ("{kind}", name) == ("separable", "query") else 64
            params[name + ".weight"] = rng.standard_normal((64, width), np.float32) / 8
            params[name + ".bias"] = rng.standard_normal(width, np.float32)
        y, dout = rng.standard_normal((2, 2, 5000, 64), np.float32)
        out, tape = {kind}_attention(y, params)
        dy, grads = {kind}_attention_backward(dout, y, params, tape)
        for a in (out, dy, *grads.values()):
            print(hashlib.sha256(a.tobytes()).hexdigest())
    """)
    assert one == two
    assert one.count("\n") == 10
