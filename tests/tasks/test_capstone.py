"""The capstone's tasks against torch, finite differences, hand-computed values and real answers."""

import time
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
PARAMETERS = ("W1", "b1", "gamma", "beta", "W2", "b2")

net = solution("capstone")["two_layer_net"]
solved = {name: solution("capstone")[name] for name in ("two_layer_net", "predict", "train")}


def draw(name, seed):
    return tasks[name].draw(np.random.default_rng(seed))


# Independent witnesses of the references.


def by_hand(training):
    """Return a network of one hidden unit whose numbers can be followed on paper."""
    return {
        "x": np.array([[0.0], [2.0]]),
        "y": np.array([0, 1]),
        "params": {
            "W1": np.array([[2.0]]),
            "b1": np.array([1.0]),
            "gamma": np.array([3.0]),
            "beta": np.array([1.0]),
            "W2": np.array([[1.0, 1.0]]),
            "b2": np.array([0.0, 0.0]),
        },
        "running": {"mean": np.array([1.0]), "var": np.array([4.0])},
        "weight_decay": 0.5,
        "keep_prob": 1.0,
        "training": training,
        "seed": 0,
    }


@pytest.mark.parametrize("training", [True, False])
def test_network_by_hand(training):
    """Equal scores give log 2, and ½ · 0.5 · (2² + 1² + 1²) = 1.5 is added.

    The pre-activations are 1 and 5. In training they have mean 3 and variance 4 (8 with N − 1), so
    the normalized values are −1 and 1, ReLU gets −2 and 4, and the hidden units are 0 and 4. In
    evaluation, with mean 1 and variance 4, the normalized values are 0 and 2, the hidden units 1
    and 7. The gradients at the scores are ±¼, so those at the hidden units are ¼ − ¼ = 0.
    """
    got = tasks["two_layer_net"].reference(by_hand(training))
    np.testing.assert_allclose(got["loss"], 0.69314718056 + 1.5)
    np.testing.assert_allclose(got["grads['W1']"], [[1.0]])
    np.testing.assert_allclose(got["grads['b1']"], [0.0], atol=1e-15)
    np.testing.assert_allclose(got["grads['gamma']"], [0.0], atol=1e-15)
    np.testing.assert_allclose(got["grads['b2']"], [0.0, 0.0], atol=1e-15)
    # Row 1 has −¼ and ¼ at its scores, row 2 has ¼ and −¼.
    slope = (0.0 * -0.25 + 4.0 * 0.25) if training else (1.0 * -0.25 + 7.0 * 0.25)
    np.testing.assert_allclose(got["grads['W2']"], [[slope + 0.5, -slope + 0.5]], rtol=1e-5)
    # 0.9 · 1 + 0.1 · 3 and 0.9 · 4 + 0.1 · 8.
    np.testing.assert_allclose(got["running['mean']"], [1.2 if training else 1.0])
    np.testing.assert_allclose(got["running['var']"], [4.4 if training else 4.0])


def test_prediction_by_hand():
    """The hidden units are 1 and 7 in evaluation, and both scores are the hidden unit."""
    inputs = by_hand(training=False)
    got = tasks["predict"].reference({name: inputs[name] for name in ("x", "params", "running")})
    np.testing.assert_allclose(got["scores"], [[1.0, 1.0], [7.0, 7.0]], rtol=1e-5)


def test_training_by_hand():
    """One step with rate 0.1 takes W1 from 2 to 1.9 and W2 from (1, 1) to (0.85, 1.05)."""
    inputs = {**by_hand(training=True), "batches": [np.array([0, 1])], "lr": 0.1}
    got = tasks["train"].reference(inputs)
    np.testing.assert_allclose(got["params['W1']"], [[1.9]])
    np.testing.assert_allclose(got["params['W2']"], [[0.85, 1.05]], rtol=1e-5)
    np.testing.assert_allclose(got["params['gamma']"], [3.0])
    np.testing.assert_allclose(got["running['mean']"], [1.2])
    np.testing.assert_allclose(got["losses"], [2.19314718056])


class FixedDropout(nn.Module):
    """Dropout by a mask that is known, since torch cannot be made to draw NumPy's."""

    def forward(self, hidden):
        if not self.training:
            return hidden
        mask = torch.tensor(self.rng.random(hidden.shape) < self.keep_prob)
        return torch.where(mask, hidden / self.keep_prob, torch.zeros_like(hidden))


def network_of_torch(inputs):
    """Return nn.Sequential with the parameters of a case, and the settings of its dropout."""
    params = {name: torch.tensor(w) for name, w in inputs["params"].items()}
    d, hidden = params["W1"].shape
    layers = nn.Sequential(
        nn.Linear(d, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        FixedDropout(),
        nn.Linear(hidden, len(params["b2"])),
    ).double()
    layers.load_state_dict(
        {
            "0.weight": params["W1"].T,
            "0.bias": params["b1"],
            "1.weight": params["gamma"],
            "1.bias": params["beta"],
            "1.running_mean": torch.tensor(inputs["running"]["mean"]),
            "1.running_var": torch.tensor(inputs["running"]["var"]),
            "1.num_batches_tracked": torch.tensor(0),
            "4.weight": params["W2"].T,
            "4.bias": params["b2"],
        }
    )
    layers[3].keep_prob = inputs.get("keep_prob")
    layers[3].rng = np.random.default_rng(inputs.get("seed"))
    return layers


def named_parameters(layers):
    return {
        "W1": layers[0].weight,
        "b1": layers[0].bias,
        "gamma": layers[1].weight,
        "beta": layers[1].bias,
        "W2": layers[4].weight,
        "b2": layers[4].bias,
    }


def as_in_params(name, tensor):
    return (tensor.T if name in ("W1", "W2") else tensor).detach().numpy()


@settings(max_examples=10)
@given(SEEDS)
def test_network_against_layers_of_torch(seed):
    """nn.Linear, nn.BatchNorm1d and SGD's weight decay give the same losses and gradients."""
    for case in draw("two_layer_net", seed):
        inputs = case.inputs
        layers = network_of_torch(inputs).train(inputs["training"])
        loss = nn.CrossEntropyLoss()(layers(torch.tensor(inputs["x"])), torch.tensor(inputs["y"]))
        loss.backward()
        decay = inputs["weight_decay"]
        got = tasks["two_layer_net"].reference(inputs)
        squares = sum(np.linalg.norm(inputs["params"][name]) ** 2 for name in ("W1", "W2"))
        np.testing.assert_allclose(got["loss"], loss.item() + decay / 2 * squares, rtol=1e-12)
        for name, parameter in named_parameters(layers).items():
            d = as_in_params(name, parameter.grad)
            if name in ("W1", "W2"):
                d = d + decay * inputs["params"][name]
            np.testing.assert_allclose(got[f"grads[{name!r}]"], d, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(got["running['mean']"], layers[1].running_mean.numpy())
        np.testing.assert_allclose(got["running['var']"], layers[1].running_var.numpy())


@settings(max_examples=10)
@given(SEEDS)
def test_prediction_against_layers_of_torch(seed):
    """nn.Sequential in evaluation mode gives the same scores."""
    for case in draw("predict", seed):
        with torch.no_grad():
            scores = network_of_torch(case.inputs).eval()(torch.tensor(case.inputs["x"]))
        got = tasks["predict"].reference(case.inputs)["scores"]
        np.testing.assert_allclose(got, scores.numpy(), rtol=1e-10, atol=1e-12)


@settings(max_examples=5)
@given(SEEDS)
def test_training_against_an_optimizer_of_torch(seed):
    """torch.optim.SGD with weight decay on W1 and W2 ends at the same parameters."""
    for case in draw("train", seed):
        inputs = case.inputs
        layers = network_of_torch(inputs).train()
        parameters = named_parameters(layers)
        weights = [parameters.pop("W1"), parameters.pop("W2")]
        optimizer = torch.optim.SGD(
            [
                {"params": weights, "weight_decay": inputs["weight_decay"]},
                {"params": list(parameters.values()), "weight_decay": 0.0},
            ],
            lr=inputs["lr"],
        )
        x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])
        losses = []
        for batch in inputs["batches"]:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(layers(x[batch]), y[batch])
            loss.backward()
            squares = sum(w.detach().square().sum() for w in weights)
            losses.append(loss.item() + inputs["weight_decay"] / 2 * squares.item())
            optimizer.step()
        got = tasks["train"].reference(inputs)
        for name, parameter in named_parameters(layers).items():
            expected = as_in_params(name, parameter)
            np.testing.assert_allclose(got[f"params[{name!r}]"], expected, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(got["running['var']"], layers[1].running_var.numpy(), rtol=1e-7)
        np.testing.assert_allclose(got["losses"], losses, rtol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_gradients_against_finite_differences(seed):
    """The gradients are the slopes of the loss in each parameter, in both modes.

    Where the input of ReLU is 0 there is no slope, and the gradient is 0 because the exercise says
    so.
    """
    for case in draw("two_layer_net", seed):
        inputs = case.inputs
        got = tasks["two_layer_net"].reference(inputs)
        dead = inputs["params"]["gamma"] == 0
        assert not got["grads['gamma']"][dead].any()
        assert not got["grads['beta']"][dead].any()
        for name in PARAMETERS:
            w = inputs["params"][name]
            slope = np.empty_like(w)
            for index in np.ndindex(w.shape):
                losses = []
                for step in (1e-6, -1e-6):
                    changed = w.copy()
                    changed[index] += step
                    params = {**inputs["params"], name: changed}
                    result = tasks["two_layer_net"].reference({**inputs, "params": params})
                    losses.append(float(result["loss"]))
                slope[index] = (losses[0] - losses[1]) / 2e-6
            if name in ("gamma", "beta"):
                slope[dead] = 0.0
            np.testing.assert_allclose(got[f"grads[{name!r}]"], slope, rtol=1e-4, atol=1e-6)


# Right answers in other styles.


def net_with_extras(*arguments):
    """Prints, a warning of another library, a list of results and one key too many."""
    print("a batch of", len(arguments[0]))
    warnings.warn("some other library is deprecated", DeprecationWarning, stacklevel=1)
    np.log(np.zeros(1))
    loss, grads, running = net(*arguments)
    return [float(loss), {**grads, "note": "mine"}, running]


def train_with(network, x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
    """Train as the solution does, with another network."""
    losses = np.zeros(len(batches))
    for i, batch in enumerate(batches):
        losses[i], grads, running = network(
            x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
        )
        params = {name: params[name] - lr * grads[name] for name in params}
    return params, running, losses


def test_what_stands_beside_the_answer_costs_nothing():
    """Prints, warnings, a list for a tuple, and a key that nobody asked for."""
    for seed in range(3):
        report = grade("two_layer_net", {**solved, "two_layer_net": net_with_extras}, seed)
        assert report.passed, f"seed {seed}\n{report}"


# Wrong answers as students write them.


def wrong_network(
    *,
    scaled=True,
    drops_in_evaluation=False,
    ddof=1,
    momentum=0.1,
    penalizes_biases=False,
    penalty_in_gradient=True,
    averaged=True,
    mask_in_backward=True,
    constants=False,
    relu_in_backward=True,
    batch_statistics_in_evaluation=False,
    shifts_scores=True,
    log_first=True,
    relu_passes_zero=False,
    guard=0.0,
    stored_eps=0.0,
    drops=True,
    drops_input=False,
    normalizes=lambda keep_prob: True,
):
    """Return a network in NumPy with one of the usual mistakes in its lines."""

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        n, given = len(x), running
        if drops_input and training:
            x = x * (rng.random(x.shape) < keep_prob) / keep_prob
        z = x @ params["W1"] + params["b1"]
        if training:
            mean, var = z.mean(0), z.var(0)
            running = {
                "mean": (1 - momentum) * running["mean"] + momentum * mean,
                "var": (1 - momentum) * running["var"]
                + momentum * (z.var(0, ddof=ddof) + stored_eps),
            }
        elif batch_statistics_in_evaluation:
            mean, var = z.mean(0), z.var(0)
        else:
            mean, var = running["mean"], running["var"]
        std = np.sqrt(var + 1e-5)
        z_hat = (z - mean) / std
        normalized = params["gamma"] * z_hat + params["beta"]
        if not normalizes(keep_prob):
            normalized, running = z, given
        mask = np.ones_like(z)
        if (training or drops_in_evaluation) and drops and not drops_input:
            mask = (rng.random(z.shape) < keep_prob) / (keep_prob if scaled else 1.0)
        hidden = np.maximum(normalized, 0) * mask
        scores = hidden @ params["W2"] + params["b2"]
        shifted = scores - scores.max(1, keepdims=True) if shifts_scores else scores
        log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        p = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
        count = n if averaged else 1
        log_of_right = log_p[range(n), y] if log_first else np.log(p[range(n), y] + guard)
        loss = -log_of_right.sum() / count
        charged = ("W1", "W2", "b1", "b2") if penalizes_biases else ("W1", "W2")
        for name in charged:
            loss += 0.5 * weight_decay * np.sum(params[name] ** 2)
        p[range(n), y] -= 1
        p /= count
        d = p @ params["W2"].T
        if mask_in_backward:
            d = d * mask
        if relu_in_backward:
            d = d * (normalized >= 0 if relu_passes_zero else normalized > 0)
        d_hat = d * params["gamma"]
        d_z = d_hat / std
        if (training or batch_statistics_in_evaluation) and not constants:
            d_z = (d_hat - d_hat.mean(0) - z_hat * (d_hat * z_hat).mean(0)) / std
        if not normalizes(keep_prob):
            d_z, d, z_hat = d, np.zeros_like(d), 0 * d
        grads = {
            "W1": x.T @ d_z,
            "b1": d_z.sum(0),
            "gamma": (d * z_hat).sum(0),
            "beta": d.sum(0),
            "W2": hidden.T @ p,
            "b2": p.sum(0),
        }
        if penalty_in_gradient:
            for name in charged:
                grads[name] = grads[name] + weight_decay * params[name]
        return loss, grads, running

    return two_layer_net


WRONG_NETWORKS = [
    ({"scaled": False}, "dropout-no-rescale", 2.25),
    ({"drops_in_evaluation": True}, "dropout-active-in-eval", 5.75),
    ({"ddof": 0}, "bn-biased-running-var", 6),
    ({"momentum": 0.9}, "bn-momentum-flipped", 6),
    ({"penalizes_biases": True}, "l2-decays-bias", 2),
    ({"penalty_in_gradient": False}, "l2-missing-from-gradient", 3.25),
    ({"averaged": False}, "loss-sum-not-mean", 1),
    ({"mask_in_backward": False}, "dropout-backward-no-mask", 4.5),
    ({"constants": True}, "bn-backward-diagonal", 5.5),
    ({"relu_in_backward": False}, "relu-backward-no-mask", 3.25),
    ({"batch_statistics_in_evaluation": True}, "bn-eval-batch-stats", 5.75),
    ({"shifts_scores": False, "log_first": False}, "softmax-overflow", 6.5),
    ({"log_first": False}, "softmax-log-of-zero", 6.5),
    ({"log_first": False, "guard": 1e-12}, "softmax-guarded-logarithm", 6.5),
    ({"stored_eps": 1e-5}, "bn-eps-in-running-var", 6),
    ({"drops": False}, "dropout-ignored", 2.25),
    ({"drops_input": True}, "net-dropout-on-input", 1.25),
    ({"normalizes": lambda keep_prob: False}, "net-no-batch-norm", 0),
    ({"normalizes": lambda keep_prob: keep_prob == 1}, "net-batch-norm-without-dropout", 0),
    ({"relu_passes_zero": True}, "relu-passes-at-zero", 6.5),
]


def names_of(report):
    return {finding.misconception for finding in report.findings if not finding.passed}


@pytest.mark.parametrize(
    ("mistake", "misconception", "points"), WRONG_NETWORKS, ids=[w[1] for w in WRONG_NETWORKS]
)
def test_wrong_networks_are_named(mistake, misconception, points):
    """A mistake loses its points and is called by its name, and by no other."""
    for seed in range(2):
        report = grade("two_layer_net", {"two_layer_net": wrong_network(**mistake)}, seed)
        assert names_of(report) == {misconception}, f"seed {seed}\n{report}"
        assert report.points == points


def test_the_unspoilt_network_of_these_tests_is_right():
    """Without a mistake the network that the mistakes are written into earns all points."""
    assert grade("two_layer_net", {"two_layer_net": wrong_network()}, 0).passed


def predict_with_the_batch(x, params, running):
    z = x @ params["W1"] + params["b1"]
    z = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
    return np.maximum(params["gamma"] * z + params["beta"], 0) @ params["W2"] + params["b2"]


def predict_labels(x, params, running):
    return np.argmax(solved["predict"](x, params, running), axis=1)


def predict_probabilities(x, params, running):
    p = np.exp(solved["predict"](x, params, running))
    return p / p.sum(1, keepdims=True)


def predict_with(root):
    def predict(x, params, running):
        z = x @ params["W1"] + params["b1"]
        z = (z - running["mean"]) / root(running["var"])
        return np.maximum(params["gamma"] * z + params["beta"], 0) @ params["W2"] + params["b2"]

    return predict


@pytest.mark.parametrize(
    ("function", "misconception"),
    [
        (predict_with(np.sqrt), "bn-eval-no-eps"),
        (predict_with(lambda var: np.sqrt(var) + 1e-5), "bn-eval-eps-outside-root"),
        (predict_with(lambda var: var + 1e-5), "bn-eval-no-root"),
        (predict_with(lambda var: var), "bn-eval-bare-variance"),
        (predict_with_the_batch, "bn-eval-batch-stats"),
        (predict_labels, "predict-labels"),
        (predict_probabilities, "predict-probabilities"),
    ],
)
def test_wrong_predictions_are_named(function, misconception):
    """A wrong prediction earns nothing and is told why."""
    for seed in range(2):
        report = grade("predict", {"predict": function}, seed)
        assert names_of(report) == {misconception}, f"seed {seed}\n{report}"
        assert report.points == 0


def train_decaying_twice(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
    losses = []
    for batch in batches:
        loss, grads, running = net(
            x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
        )
        params = {k: (1 - lr * weight_decay) * params[k] - lr * grads[k] for k in params}
        losses.append(loss)
    return params, running, losses


def train_losing_statistics(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
    losses = []
    for batch in batches:
        loss, grads, _ = net(
            x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
        )
        params = {k: params[k] - lr * grads[k] for k in params}
        losses.append(loss)
    return params, running, losses


def train_restarting_statistics(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
    losses = []
    for batch in batches:
        loss, grads, new_running = net(
            x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
        )
        params = {k: params[k] - lr * grads[k] for k in params}
        losses.append(loss)
    return params, new_running, losses


def train_in_reverse(x, y, params, running, batches, *rest):
    return solved["train"](x, y, params, running, batches[::-1], *rest)


def train_on_everything(x, y, params, running, batches, *rest):
    return solved["train"](x, y, params, running, [np.arange(len(x))] * len(batches), *rest)


WRONG_TRAININGS = [
    (train_decaying_twice, "train-decays-twice", 0),
    (train_losing_statistics, "train-running-untouched", 4.5),
    (train_restarting_statistics, "train-running-not-carried", 4.5),
    (train_in_reverse, "train-reversed", 0),
    (train_on_everything, "train-full-batch", 0),
]


@pytest.mark.parametrize(
    ("function", "misconception", "points"),
    WRONG_TRAININGS,
    ids=[function.__name__ for function, _, _ in WRONG_TRAININGS],
)
def test_wrong_trainings_are_named(function, misconception, points):
    """A mistake in the loop loses its points and is called by its name."""
    for seed in range(2):
        report = grade("train", {**solved, "train": function}, seed)
        assert names_of(report) == {misconception}, f"seed {seed}\n{report}"
        assert report.points == points


@pytest.mark.parametrize(
    ("mistake", "misconception", "points"),
    [
        ({"ddof": 0}, "bn-biased-running-var", 6 - 0.75),
        ({"scaled": False}, "dropout-no-rescale", 3),
    ],
)
def test_a_right_loop_around_a_wrong_network_earns_half(mistake, misconception, points):
    """What only the network has wrong costs half here and is put down to the network."""

    def train(*arguments):
        return train_with(wrong_network(**mistake), *arguments)

    report = grade("train", {**solved, "train": train}, 0)
    assert report.points == points
    assert "right for your `two_layer_net`" in " ".join(str(report).split())
    assert misconception in str(report)


# What earns nothing, what is said about it, and how long it takes.


def zeros_like(arrays):
    return {name: 0 * array for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("two_layer_net", lambda x, y, params, running, *rest: (0.0, zeros_like(params), running)),
        ("two_layer_net", lambda x, y, params, running, *rest: (1.0, params, running)),
        ("predict", lambda x, params, running: np.zeros((len(x), len(params["b2"])))),
        ("predict", lambda x, params, running: x),
        (
            "train",
            lambda x, y, params, running, batches, *rest: (params, running, [0.0] * len(batches)),
        ),
    ],
)
def test_trivial_answers_earn_nothing(name, function):
    """Zeros, or what came in, are worth no points."""
    for seed in range(2):
        assert grade(name, {**solved, name: function}, seed).points == 0


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("two_layer_net", lambda *arguments: None, "3 values: loss, grads, running"),
        ("two_layer_net", lambda *arguments: (0.0, [], {}), "grads that `two_layer_net` returned"),
        ("two_layer_net", lambda *arguments: (0.0, {"W1": 0}, {}), "no 'b1', 'gamma'"),
        ("predict", lambda *arguments: None, "`scores` is None"),
        ("train", lambda *arguments: 1.0, "3 values: params, running, losses"),
        (
            "train",
            lambda x, y, params, running, *rest: (params, running, ["low"]),
            "one number for each step",
        ),
    ],
)
def test_answers_of_a_wrong_form_are_told_so(name, function, message):
    """Where nothing can be compared, the report says what form was expected."""
    report = grade(name, {**solved, name: function}, 0)
    assert report.points == 0
    assert message in " ".join(str(report).split())


def test_changing_arguments_costs_a_quarter():
    """Training in place gives right numbers and spoils the parameters it was given."""

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        losses = []
        for batch in batches:
            loss, grads, running = net(
                x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
            )
            for name in params:
                params[name] -= lr * grads[name]
            losses.append(loss)
        return params, running, losses

    report = grade("train", {**solved, "train": train}, 0)
    assert report.points == 4.5
    assert "in place" in str(report)


@pytest.mark.parametrize(("name", "seconds"), [("two_layer_net", 1.0), ("train", 3.0)])
def test_a_wrong_answer_is_judged_quickly(name, seconds):
    """Looking for the mistake takes no longer than a student wants to wait.

    It takes 0.1 s for the network and 0.8 s for training on an idle machine; the limit leaves room
    for a busy one.
    """

    def train(*arguments):
        return train_with(wrong_network(scaled=False), *arguments)

    wrong = {"two_layer_net": wrong_network(scaled=False), "train": train}
    grade(name, wrong, 0)
    start = time.perf_counter()
    grade(name, wrong, 1)
    assert time.perf_counter() - start < seconds
