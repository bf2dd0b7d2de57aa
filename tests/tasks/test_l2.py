"""The L2 tasks against torch, finite differences, hand-computed values and real answers."""

import warnings

import numpy as np
import pytest
import torch
from helpers.solutions import solution
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autograder import grade, tasks

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=20)

softmax_solution = solution("l2")["softmax_regression"]
adam_solution = solution("l2")["adam_step"]
groups_solution = solution("l2")["parameter_groups"]


def reference(name, inputs):
    return tasks[name].reference(inputs)


def draw(name, seed):
    return tasks[name].draw(np.random.default_rng(seed))


def finite_differences(function, array, step=1e-5):
    """Return the gradient of a number with respect to an array, by central differences."""
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        up, down = array.copy(), array.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


# Independent witnesses of the references.


def test_penalty_by_hand():
    """For the entries 1, −2, 0, 3 and 2, 1 the squares add up to 19; with λ = 0.1 that is 0.95."""
    weights = [np.array([[1.0, -2.0], [0.0, 3.0]]), np.array([[2.0], [1.0]])]
    got = reference("l2_penalty", {"weights": weights, "weight_decay": 0.1})
    np.testing.assert_allclose(got["penalty"], 0.95)


def test_penalty_gradient_by_hand():
    """The gradient of λ/2 · w² with λ = 0.5 is half of each entry."""
    weights = [np.array([[1.0, -2.0], [0.0, 3.0]]), np.array([4.0, 5.0])]
    got = reference("l2_penalty_backward", {"weights": weights, "weight_decay": 0.5})
    np.testing.assert_allclose(got["d_weights[0]"], [[0.5, -1.0], [0.0, 1.5]])
    np.testing.assert_allclose(got["d_weights[1]"], [2.0, 2.5])


def test_softmax_regression_by_hand():
    """Scores (log 3, 0) give the probabilities ¾ and ¼, so the loss is log(4/3) + (log 3)²."""
    got = reference(
        "softmax_regression",
        {
            "x": np.array([[1.0]]),
            "y": np.array([0]),
            "W": np.array([[1.09861228866811, 0.0]]),
            "b": np.zeros(2),
            "weight_decay": 2.0,
        },
    )
    np.testing.assert_allclose(got["loss"], 0.28768207245 + 1.20694896085)
    np.testing.assert_allclose(got["d_W"], [[1.94722457734, 0.25]])
    np.testing.assert_allclose(got["d_b"], [-0.25, 0.25])


def test_sgd_by_hand():
    """(1 − 0.1 · 0.3) · 2 − 0.1 · 0.5 = 1.94 − 0.05."""
    inputs = {"param": np.array([2.0]), "grad": np.array([0.5]), "lr": 0.1, "weight_decay": 0.3}
    np.testing.assert_allclose(reference("sgd_step", inputs)["param"], [1.89])


@pytest.mark.parametrize(
    ("decoupled", "param", "m", "v"),
    [
        # 0.98 · 1 − 0.1 · 0.5 / (0.5 + 0.5)
        (True, 0.93, 0.05, 0.00025),
        # The gradient is 0.5 + 0.2 · 1, and 1 − 0.1 · 0.7 / (0.7 + 0.5) = 1 − 7/120.
        (False, 113 / 120, 0.07, 0.00049),
    ],
)
def test_first_step_of_adam_by_hand(decoupled, param, m, v):
    """In the first step m̂ is the gradient and √v̂ its size."""
    inputs = {
        "param": np.array([1.0]),
        "grad": np.array([0.5]),
        "state": {"step": 0, "m": np.zeros(1), "v": np.zeros(1)},
        "lr": 0.1,
        "betas": (0.9, 0.999),
        "eps": 0.5,
        "weight_decay": 0.2,
        "decoupled": decoupled,
    }
    got = reference("adam_step", inputs)
    np.testing.assert_allclose(got["param"], [param])
    np.testing.assert_allclose(got["m"], [m])
    np.testing.assert_allclose(got["v"], [v])
    assert got["step"] == 1


def test_two_steps_of_adam_by_hand():
    """With β = (½, ½) and gradients 1 and 3: m̂ = 7/3, v̂ = 19/3, and w = −1 − m̂/√v̂."""
    inputs = {
        "param": np.array([0.0]),
        "grad": np.array([1.0]),
        "state": {"step": 0, "m": np.zeros(1), "v": np.zeros(1)},
        "lr": 1.0,
        "betas": (0.5, 0.5),
        "eps": 0.0,
        "weight_decay": 0.0,
        "decoupled": False,
    }
    first = reference("adam_step", inputs)
    state = {"step": 1, "m": first["m"], "v": first["v"]}
    second = {"param": first["param"], "grad": np.array([3.0]), "state": state}
    got = reference("adam_step", {**inputs, **second})
    np.testing.assert_allclose(got["m"], [1.75])
    np.testing.assert_allclose(got["v"], [4.75])
    np.testing.assert_allclose(got["param"], [-1.9271726], rtol=1e-7)


def test_parameter_groups_by_hand():
    """Of a linear layer and a batch norm one weight is decayed, one bias, γ and β are not."""
    inputs = {
        "layers": [["linear", 2], ["batch norm", 3]],
        "frozen": [],
        "shared": [],
        "weight_decay": 0.1,
    }
    got = reference("parameter_groups", inputs)
    assert {name: counts.tolist() for name, counts in got.items()} == {
        "weights in the decayed group": [1.0],
        "weights in the undecayed group": [0.0],
        "biases in the decayed group": [0.0],
        "biases in the undecayed group": [1.0],
        "gammas and betas in the decayed group": [0.0, 0.0],
        "gammas and betas in the undecayed group": [1.0, 1.0],
    }


@few
@given(SEEDS)
def test_penalty_gradient_against_finite_differences(seed):
    """The gradient is the slope of the penalty in each entry of each weight."""
    for case in draw("l2_penalty_backward", seed):
        weights, weight_decay = case.inputs["weights"], case.inputs["weight_decay"]
        got = reference("l2_penalty_backward", case.inputs)
        for i, w in enumerate(weights):

            def penalty(changed, i=i, weights=weights, weight_decay=weight_decay):
                replaced = [*weights[:i], changed, *weights[i + 1 :]]
                inputs = {"weights": replaced, "weight_decay": weight_decay}
                return float(reference("l2_penalty", inputs)["penalty"])

            slope = finite_differences(penalty, w)
            np.testing.assert_allclose(got[f"d_weights[{i}]"], slope, rtol=1e-6, atol=1e-8)


@few
@given(SEEDS)
def test_softmax_regression_against_finite_differences(seed):
    """The gradients are the slopes of the loss."""
    for case in draw("softmax_regression", seed):
        if case.group == "large scores":
            # Differences of numbers in the thousands say nothing about slopes.
            continue
        got = reference("softmax_regression", case.inputs)
        for name in ("W", "b"):

            def loss(changed, name=name, inputs=case.inputs):
                return float(reference("softmax_regression", {**inputs, name: changed})["loss"])

            slope = finite_differences(loss, case.inputs[name])
            np.testing.assert_allclose(got[f"d_{name}"], slope, rtol=1e-5, atol=1e-8)


@few
@given(SEEDS)
def test_softmax_regression_against_a_linear_layer(seed):
    """nn.Linear, nn.CrossEntropyLoss and SGD's weight decay give the same loss and gradients."""
    for case in draw("softmax_regression", seed):
        inputs = case.inputs
        layer = nn.Linear(*inputs["W"].shape).double()
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(inputs["W"].T))
            layer.bias.copy_(torch.tensor(inputs["b"]))
        loss = nn.CrossEntropyLoss()(layer(torch.tensor(inputs["x"])), torch.tensor(inputs["y"]))
        loss.backward()
        decay = inputs["weight_decay"]
        optimizer = torch.optim.SGD(
            [
                {"params": [layer.weight], "weight_decay": decay},
                {"params": [layer.bias], "weight_decay": 0.0},
            ],
            lr=1.0,
        )
        optimizer.step()
        got = reference("softmax_regression", inputs)
        np.testing.assert_allclose(
            got["loss"], loss.item() + decay / 2 * np.linalg.norm(inputs["W"]) ** 2
        )
        stepped = layer.weight.detach().numpy().T
        np.testing.assert_allclose(inputs["W"] - got["d_W"], stepped, atol=1e-9)
        np.testing.assert_allclose(got["d_b"], layer.bias.grad.numpy(), atol=1e-12)


@few
@given(SEEDS)
def test_sgd_against_torch(seed):
    """torch.optim.SGD takes the same step."""
    for case in draw("sgd_step", seed):
        inputs = case.inputs
        w = torch.tensor(inputs["param"], requires_grad=True)
        w.grad = torch.tensor(inputs["grad"])
        torch.optim.SGD([w], lr=inputs["lr"], weight_decay=inputs["weight_decay"]).step()
        got = reference("sgd_step", inputs)["param"]
        np.testing.assert_allclose(got, w.detach().numpy(), rtol=1e-12, atol=1e-14)


@few
@given(SEEDS)
def test_adam_against_torch(seed):
    """torch.optim.Adam and AdamW take the same steps and keep the same averages."""
    for case in draw("adam_step", seed):
        inputs = case.inputs
        w = torch.tensor(inputs["param"], requires_grad=True)
        optimizer = (torch.optim.AdamW if inputs["decoupled"] else torch.optim.Adam)(
            [w],
            lr=inputs["lr"],
            betas=inputs["betas"],
            eps=inputs["eps"],
            weight_decay=inputs["weight_decay"],
        )
        if inputs["state"]["step"]:
            optimizer.state[w] = {
                "step": torch.tensor(float(inputs["state"]["step"])),
                "exp_avg": torch.tensor(inputs["state"]["m"]),
                "exp_avg_sq": torch.tensor(inputs["state"]["v"]),
            }
        w.grad = torch.tensor(inputs["grad"])
        optimizer.step()
        got = reference("adam_step", inputs)
        state = optimizer.state[w]
        np.testing.assert_allclose(got["param"], w.detach().numpy(), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(got["m"], state["exp_avg"].numpy(), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(got["v"], state["exp_avg_sq"].numpy(), rtol=1e-11, atol=1e-13)
        assert got["step"] == state["step"].item()


def test_groups_of_the_solution_in_an_optimizer():
    """With zero gradients AdamW halves what has two dimensions and leaves the rest alone."""
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Embedding(5, 2))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(groups_solution(model, 0.5), lr=1.0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, model.parameters(), strict=True):
        factor = 0.5 if old.ndim > 1 else 1.0
        torch.testing.assert_close(new.detach(), factor * old)


def test_no_class_is_improbable_in_training():
    """What a program does about probabilities near 0 shows among the large scores only."""
    for seed in range(50):
        for case in draw("softmax_regression", seed):
            if case.group == "training":
                scores = torch.tensor(case.inputs["x"] @ case.inputs["W"] + case.inputs["b"])
                assert scores.softmax(1).min() > 1e-3


# Right answers in other styles.


def penalty_by_norm(weights, weight_decay):
    print("norms:", [np.linalg.norm(w) for w in weights])
    return float(weight_decay / 2 * sum(np.linalg.norm(w) ** 2 for w in weights))


def softmax_by_logaddexp(x, y, W, b, weight_decay):
    scores = np.einsum("nd,dc->nc", x, W) + b
    log_p = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    one_hot = np.eye(W.shape[1])[y]
    loss = -np.sum(one_hot * log_p) / x.shape[0] + weight_decay / 2 * np.vdot(W, W)
    difference = (np.exp(log_p) - one_hot) / x.shape[0]
    return loss, np.einsum("nd,nc->dc", x, difference) + weight_decay * W, difference.sum(0)


def softmax_with_helper_and_warning(x, y, W, b, weight_decay):
    def probabilities(scores):
        exponentials = np.exp(scores - scores.max(1)[:, None])
        return exponentials / exponentials.sum(1)[:, None]

    warnings.warn("some other library is deprecated", DeprecationWarning, stacklevel=1)
    np.log(np.zeros(1))
    shifted = x @ W + b
    p = probabilities(shifted)
    shifted -= shifted.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    n = y.size
    loss = np.mean(-np.take_along_axis(log_p, y[:, None], 1)) + 0.5 * weight_decay * np.sum(W * W)
    p[np.arange(n), y] -= 1
    return loss, x.T.dot(p) / n + weight_decay * W, p.mean(axis=0)


def sgd_as_decay(param, grad, lr, weight_decay):
    return (1 - lr * weight_decay) * param - lr * grad


def adam_as_in_torch(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    state = {name: value if name == "step" else value.copy() for name, value in state.items()}
    state["step"] += 1
    new = param.copy()
    if decoupled:
        new *= 1 - lr * weight_decay
    elif weight_decay != 0:
        grad = grad + weight_decay * param
    state["m"] += (1 - betas[0]) * (grad - state["m"])
    state["v"] *= betas[1]
    state["v"] += (1 - betas[1]) * grad * grad
    correction1, correction2 = 1 - betas[0] ** state["step"], 1 - betas[1] ** state["step"]
    new -= lr / correction1 * state["m"] / (np.sqrt(state["v"]) / np.sqrt(correction2) + eps)
    return new, state


def adam_with_a_numpy_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    param, state = adam_solution(param, grad, state, lr, betas, eps, weight_decay, decoupled)
    return [param, {**state, "step": np.int64(state["step"])}]


def groups_by_loop(model, weight_decay):
    decay, rest = [], []
    for _, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        (rest if len(parameter.shape) <= 1 else decay).append(parameter)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0}]


def groups_by_modules(model, weight_decay):
    seen, decay, rest = set(), [], []
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                (decay if parameter.dim() > 1 else rest).append(parameter)
    return (
        {"params": iter(rest), "weight_decay": 0.0},
        {"params": tuple(decay), "weight_decay": weight_decay},
    )


RIGHT = [
    ("l2_penalty", penalty_by_norm),
    ("softmax_regression", softmax_by_logaddexp),
    ("softmax_regression", softmax_with_helper_and_warning),
    ("sgd_step", sgd_as_decay),
    ("adam_step", adam_as_in_torch),
    ("adam_step", adam_with_a_numpy_step),
    ("parameter_groups", groups_by_loop),
    ("parameter_groups", groups_by_modules),
]


@pytest.mark.parametrize(("name", "function"), RIGHT, ids=[f.__name__ for _, f in RIGHT])
def test_right_answers_in_other_styles(name, function):
    """The style of a right answer costs nothing."""
    for seed in range(3):
        report = grade(name, {name: function}, seed)
        assert report.passed, f"seed {seed}\n{report}"
        assert report.points == report.max_points


# Wrong answers as students write them.


def penalty_without_half(weights, weight_decay):
    return weight_decay * sum(np.sum(w**2) for w in weights)


def penalty_of_plain_norms(weights, weight_decay):
    return 0.5 * weight_decay * sum(np.linalg.norm(w) for w in weights)


def penalty_averaged(weights, weight_decay):
    return 0.5 * weight_decay * sum((w**2).mean() for w in weights)


def penalty_of_the_first(weights, weight_decay):
    total = 0.0
    for _ in weights:
        total += np.sum(weights[0] ** 2)
    return 0.5 * weight_decay * total


def penalty_without_the_last(weights, weight_decay):
    total = np.sum(weights[0] ** 2) if len(weights) > 1 else 0.0
    for i in range(1, len(weights) - 1):
        total += np.sum(weights[i] ** 2)
    return 0.5 * weight_decay * total


def backward_with_two(weights, weight_decay):
    return [2 * weight_decay * w for w in weights]


def backward_of_the_sum(weights, weight_decay):
    return [np.full_like(w, weight_decay * np.sum(w)) for w in weights]


def backward_negative(weights, weight_decay):
    return [-weight_decay * w for w in weights]


def softmax_penalizing_the_bias(x, y, W, b, weight_decay):
    loss, d_W, d_b = softmax_solution(x, y, W, b, weight_decay)
    return loss + 0.5 * weight_decay * np.sum(b**2), d_W, d_b + weight_decay * b


def softmax_that_overflows(x, y, W, b, weight_decay):
    exponentials = np.exp(x @ W + b)
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    n = len(y)
    loss = -np.log(p[np.arange(n), y]).mean() + 0.5 * weight_decay * np.sum(W**2)
    p[np.arange(n), y] -= 1
    return loss, x.T @ p / n + weight_decay * W, p.sum(0) / n


def softmax_without_half_in_the_loss(x, y, W, b, weight_decay):
    loss, d_W, d_b = softmax_solution(x, y, W, b, weight_decay)
    return loss + 0.5 * weight_decay * np.sum(W**2), d_W, d_b


def softmax_subtracting_the_penalty(x, y, W, b, weight_decay):
    loss, d_W, d_b = softmax_solution(x, y, W, b, weight_decay)
    return loss, d_W - 2 * weight_decay * W, d_b


def softmax_gradient_not_averaged(x, y, W, b, weight_decay):
    loss, d_W, d_b = softmax_solution(x, y, W, b, 0.0)
    loss += 0.5 * weight_decay * np.sum(W**2)
    return loss, d_W * len(x) + weight_decay * W, d_b * len(x)


def softmax_penalty_over_n(x, y, W, b, weight_decay):
    return softmax_solution(x, y, W, b, weight_decay / len(x))


def sgd_decay_without_lr(param, grad, lr, weight_decay):
    return param - weight_decay * param - lr * grad


def sgd_decay_after(param, grad, lr, weight_decay):
    return (param - lr * grad) * (1 - lr * weight_decay)


def adam_always_coupled(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    return adam_solution(param, grad, state, lr, betas, eps, weight_decay, False)


def adam_eps_inside(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    t = state["step"] + 1
    if decoupled:
        param = param * (1 - lr * weight_decay)
    else:
        grad = grad + weight_decay * param
    m = betas[0] * state["m"] + (1 - betas[0]) * grad
    v = betas[1] * state["v"] + (1 - betas[1]) * grad**2
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return param - lr * m_hat / np.sqrt(v_hat + eps), {"step": t, "m": m, "v": v}


def adam_without_correction(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    if decoupled:
        param = param * (1 - lr * weight_decay)
    else:
        grad = grad + weight_decay * param
    m = betas[0] * state["m"] + (1 - betas[0]) * grad
    v = betas[1] * state["v"] + (1 - betas[1]) * grad**2
    return param - lr * m / (np.sqrt(v) + eps), {"step": state["step"] + 1, "m": m, "v": v}


def adam_decaying_after(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    if not decoupled:
        return adam_solution(param, grad, state, lr, betas, eps, weight_decay, False)
    param, state = adam_solution(param, grad, state, lr, betas, eps, 0.0, False)
    return param * (1 - lr * weight_decay), state


def adam_storing_corrected(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    new, state = adam_solution(param, grad, state, lr, betas, eps, weight_decay, decoupled)
    t = state["step"]
    m, v = state["m"] / (1 - betas[0] ** t), state["v"] / (1 - betas[1] ** t)
    return new, {"step": t, "m": m, "v": v}


def adam_forgetting_to_count(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    new, after = adam_solution(param, grad, state, lr, betas, eps, weight_decay, decoupled)
    return new, {**after, "step": state["step"]}


def groups_by_name(model, weight_decay):
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [p for n, p in named if "bias" not in n], "weight_decay": weight_decay},
        {"params": [p for n, p in named if "bias" in n], "weight_decay": 0.0},
    ]


def groups_in_one(model, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [{"params": trained, "weight_decay": weight_decay}, {"params": [], "weight_decay": 0.0}]


def groups_with_frozen(model, weight_decay):
    everything = list(model.parameters())
    return [
        {"params": [p for p in everything if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in everything if p.ndim < 2], "weight_decay": 0.0},
    ]


def groups_twice(model, weight_decay):
    own = [p for module in model.modules() for p in module.parameters(recurse=False)]
    trained = [p for p in own if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


WRONG = [
    ("l2_penalty", penalty_without_half, "l2-missing-half", 0),
    ("l2_penalty", penalty_of_plain_norms, "l2-norm-not-squared", 0),
    ("l2_penalty", penalty_averaged, "l2-mean-not-sum", 0),
    ("l2_penalty", penalty_of_the_first, "l2-one-weight-twice", 1.5),
    ("l2_penalty", penalty_without_the_last, "l2-skips-last", 0),
    ("l2_penalty_backward", backward_with_two, "l2-missing-half", 0),
    ("l2_penalty_backward", backward_of_the_sum, "l2-gradient-sum", 0),
    ("l2_penalty_backward", backward_negative, "l2-sign", 0),
    ("softmax_regression", softmax_penalizing_the_bias, "l2-decays-bias", 2),
    ("softmax_regression", softmax_that_overflows, "softmax-overflow", 5),
    ("softmax_regression", softmax_without_half_in_the_loss, "l2-missing-half-loss", 3),
    ("softmax_regression", softmax_subtracting_the_penalty, "l2-sign", 3),
    ("softmax_regression", softmax_gradient_not_averaged, "loss-gradient-not-averaged", 2),
    ("softmax_regression", softmax_penalty_over_n, "l2-mean-over-batch", 1),
    ("sgd_step", sgd_decay_without_lr, "sgd-decay-without-lr", 1),
    ("sgd_step", sgd_decay_after, "sgd-decay-after", 1),
    ("adam_step", adam_always_coupled, "adam-coupled-as-adamw", 3),
    ("adam_step", adam_eps_inside, "adam-eps-inside-root", 1.5),
    ("adam_step", adam_without_correction, "adam-no-bias-correction", 1.5),
    ("adam_step", adam_decaying_after, "adamw-decay-after", 4.5),
    ("adam_step", adam_storing_corrected, "adam-corrected-in-state", 4.5),
    ("adam_step", adam_forgetting_to_count, "adam-step-not-counted", 4.5),
    ("parameter_groups", groups_by_name, "groups-by-name", 1),
    ("parameter_groups", groups_in_one, "groups-decay-everything", 0),
    ("parameter_groups", groups_with_frozen, "groups-keeps-frozen", 3.25),
    ("parameter_groups", groups_twice, "groups-shared-twice", 3.25),
]


@pytest.mark.parametrize(
    ("name", "function", "misconception", "points"),
    WRONG,
    ids=[function.__name__ for _, function, _, _ in WRONG],
)
def test_wrong_answers_are_named(name, function, misconception, points):
    """A mistake loses its points and is called by its name, and by no other."""
    for seed in range(2):
        report = grade(name, {name: function}, seed)
        named = {finding.misconception for finding in report.findings if not finding.passed}
        assert named == {misconception}, f"seed {seed}\n{report}"
        assert report.points == points


# What earns nothing, and what is said about it.


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("l2_penalty", lambda weights, weight_decay: 0.0),
        ("l2_penalty_backward", lambda weights, weight_decay: [w.copy() for w in weights]),
        ("l2_penalty_backward", lambda weights, weight_decay: [0 * w for w in weights]),
        ("softmax_regression", lambda x, y, W, b, weight_decay: (0.0, 0 * W, 0 * b)),
        ("softmax_regression", lambda x, y, W, b, weight_decay: (0.0, weight_decay * W, 0 * b)),
        ("sgd_step", lambda param, grad, lr, weight_decay: param.copy()),
        ("adam_step", lambda param, grad, state, *rest: (param.copy(), dict(state))),
        (
            "parameter_groups",
            lambda model, weight_decay: [
                {"params": [], "weight_decay": weight_decay},
                {"params": [], "weight_decay": 0.0},
            ],
        ),
    ],
)
def test_trivial_answers_earn_nothing(name, function):
    """Zeros, or what came in, are worth no points."""
    for seed in range(3):
        assert grade(name, {name: function}, seed).points == 0


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        (
            "l2_penalty_backward",
            lambda weights, weight_decay: weight_decay * weights[0],
            "a single ndarray",
        ),
        (
            "l2_penalty_backward",
            lambda weights, weight_decay: [weight_decay * w for w in weights[:-1]],
            "returned 0 gradients for 1 weight.",
        ),
        ("softmax_regression", lambda x, y, W, b, weight_decay: 1.0, "loss, d_W, d_b"),
        ("adam_step", lambda param, *rest: param, "2 values: param, state"),
        ("adam_step", lambda param, *rest: (param, 1), "is a single int. Return a dict"),
        ("adam_step", lambda param, *rest: (param, {"step": 1, "m": param}), "no 'v' in the state"),
        ("parameter_groups", lambda model, weight_decay: None, "returned None"),
        ("parameter_groups", lambda model, weight_decay: [{}], "returned 1 group."),
        ("parameter_groups", lambda model, weight_decay: {"params": 1}, "a single dict"),
        ("parameter_groups", lambda model, weight_decay: [{}, {}], '"params" and "weight_decay"'),
        (
            "parameter_groups",
            lambda model, weight_decay: [
                {"params": ["0.weight"], "weight_decay": weight_decay},
                {"params": [], "weight_decay": 0.0},
            ],
            "it contains a str",
        ),
        (
            "parameter_groups",
            lambda model, weight_decay: [
                {"params": [p.data for p in model.parameters()], "weight_decay": weight_decay},
                {"params": [], "weight_decay": 0.0},
            ],
            "not one of the model's parameters",
        ),
        (
            "parameter_groups",
            lambda model, weight_decay: [
                {"params": list(model.parameters()), "weight_decay": 0.0},
                {"params": [], "weight_decay": 0.0},
            ],
            'the groups have "weight_decay" 0.0 and 0.0',
        ),
    ],
)
def test_answers_of_a_wrong_form_are_told_so(name, function, message):
    """Where nothing can be compared, the report says what form was expected."""
    report = grade(name, {name: function}, 0)
    assert report.points == 0
    assert message in " ".join(str(report).split())


def test_changing_arguments_costs_a_quarter():
    """An in-place update gives right numbers and destroys what the caller still needs."""

    def sgd_in_place(param, grad, lr, weight_decay):
        param -= lr * (grad + weight_decay * param)
        return param

    def adam_in_place(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        param, after = adam_solution(param, grad, state, lr, betas, eps, weight_decay, decoupled)
        state["m"][...] = after["m"]
        return param, after

    report = grade("sgd_step", {"sgd_step": sgd_in_place}, 0)
    assert report.points == 2.25
    assert "changes `param`" in str(report)
    report = grade("adam_step", {"adam_step": adam_in_place}, 0)
    assert report.points == 4.5
    assert "changes `state['m']`" in str(report)


def test_grading_leaves_the_random_numbers_of_torch_alone():
    """Building models for `parameter_groups` does not draw from a notebook's own generator."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    grade("parameter_groups", {"parameter_groups": groups_solution}, 0)
    torch.testing.assert_close(torch.rand(3), expected)
