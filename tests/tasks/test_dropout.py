"""The dropout tasks against torch, finite differences, hand-computed values and real answers."""

import itertools
import math

import numpy as np
import pytest
import torch
from helpers.solutions import judged, solution
from torch import nn

from autograder import grade
from autograder.judging.compare import FALSE_ALARM
from autograder.task import Probability
from autograder.tasks import tasks
from autograder.tasks.dropout.cases import VALUES
from autograder.tasks.dropout.networks import Network

SEEDS = range(2)


def solve(**replaced):
    return {**solution("dropout"), **replaced}


def named(report):
    return {finding.misconception for finding in report.findings if not finding.passed}


# Independent witnesses of the reference.


def dropout_reference(**inputs):
    inputs = {"frequencies": (), "redrawn": np.ones(inputs["x"].shape, dtype=bool), **inputs}
    return tasks["dropout_forward"].reference(inputs)


def test_training_by_hand():
    """With a = (1, −2, 3), m = (1, 0, 1), p = 1/4: y = (4, 0, 12), d_x = (4, 0, 4)."""
    got = dropout_reference(
        x=np.array([1.0, -2.0, 3.0]),
        mask=np.array([True, False, True]),
        keep_prob=0.25,
        training=True,
        d_out=np.ones(3),
    )
    np.testing.assert_allclose(got["out"], [4.0, 0.0, 12.0])
    np.testing.assert_allclose(got["d_x"], [4.0, 0.0, 4.0])


def test_evaluation_by_hand():
    """In evaluation nothing changes, whatever the mask."""
    x = np.array([1.0, -2.0, 3.0])
    got = dropout_reference(
        x=x,
        mask=np.array([True, False, True]),
        keep_prob=0.25,
        training=False,
        d_out=np.array([5.0, 6.0, 7.0]),
    )
    np.testing.assert_array_equal(got["out"], x)
    np.testing.assert_array_equal(got["d_x"], [5.0, 6.0, 7.0])


@pytest.mark.parametrize("training", [True, False])
def test_the_reference_agrees_with_torchs_layer_given_its_mask(training):
    """Given the mask that nn.Dropout drew, output and gradient are those of nn.Dropout."""
    rng = np.random.default_rng(0)
    x, d_out = rng.uniform(0.5, 2, (6, 7)), rng.standard_normal((6, 7))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensor = torch.tensor(x, requires_grad=True)
        out = nn.Dropout(0.3).train(training)(tensor)
        out.backward(torch.tensor(d_out))
    got = dropout_reference(
        x=x,
        mask=(out != 0).numpy(),
        keep_prob=0.7,
        training=training,
        d_out=d_out,
    )
    np.testing.assert_allclose(got["out"], out.detach(), rtol=1e-12)
    np.testing.assert_allclose(got["d_x"], tensor.grad, rtol=1e-12)


def test_the_gradient_agrees_with_central_differences():
    """The gradient of the reference is the limit of a difference quotient."""
    rng = np.random.default_rng(1)
    x, d_out = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    rest = {"mask": rng.random((3, 4)) < 0.6, "keep_prob": 0.6, "training": True, "d_out": d_out}

    def loss(x):
        return float((dropout_reference(x=x, **rest)["out"] * d_out).sum())

    numerical = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        bump = np.zeros_like(x)
        bump[index] = 1e-5
        numerical[index] = (loss(x + bump) - loss(x - bump)) / 2e-5
    np.testing.assert_allclose(dropout_reference(x=x, **rest)["d_x"], numerical, atol=1e-8)


def test_monte_carlo_moments_agree_with_all_masks():
    """Mean and standard deviation are those of all 2^n sequences of masks, weighted by hand.

    With the unit kept k of n times the mean is a mixture of two values; summed over every
    sequence it must give the expectation, which is the network's answer in evaluation mode.
    """
    task = tasks["monte_carlo_predict"]
    case = task.draw(np.random.default_rng(2))[0]
    n, keep = 4, case.inputs["keep_prob"]
    inputs = {**case.inputs, "n_samples": n, "x": case.inputs["x"][:2]}
    network = Network(inputs).eval()
    with torch.no_grad():
        # In evaluation the unit is as large as it is on average.
        average = network(torch.tensor(inputs["x"])).numpy()
    never = np.broadcast_to(inputs["bias"], average.shape)
    always = never + (average - never) / keep
    expectation = np.zeros((2, 3))
    for sequence in itertools.product([0, 1], repeat=n):
        k = sum(sequence)
        samples = np.stack([always if kept else never for kept in sequence])
        got = task.reference({**inputs, "mean": samples.mean(axis=0)})
        np.testing.assert_allclose(got["mean"], samples.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(got["std"].value, samples.std(axis=0), rtol=1e-9, atol=1e-12)
        expectation += keep**k * (1 - keep) ** (n - k) * got["mean"]
    np.testing.assert_allclose(expectation, keep * always + (1 - keep) * never, rtol=1e-12)


# Right answers in other styles.


def test_torch_modules_in_other_styles_earn_all_points():
    """nn.functional-free modules that scale by where() or bernoulli() pass."""

    class Dropout(nn.Module):
        def __init__(self, p=0.5):
            super().__init__()
            if p < 0 or p > 1:
                raise ValueError(p)
            self.keep = 1 - p

        def forward(self, x):
            if self.training and self.keep < 1:
                mask = torch.empty_like(x).bernoulli_(self.keep)
                return x * mask / max(self.keep, 1e-12)
            return x

    def monte_carlo_predict(model, x, n_samples):
        before = {name: module.training for name, module in model.named_modules()}
        for module in model.modules():
            module.training = "Dropout" in type(module).__name__
        total, squares = 0, 0
        for _ in range(n_samples):
            out = model(x).detach()
            total, squares = total + out, squares + out**2
        for name, module in model.named_modules():
            module.training = before[name]
        mean = total / n_samples
        return [mean, (squares / n_samples - mean**2).clamp(min=0).sqrt()]

    def in_one_batch(model, x, n_samples):
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        for module, _ in modes:
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.train()
        samples = model(x.repeat(n_samples, 1)).reshape(n_samples, len(x), -1)
        for module, mode in modes:
            module.training = mode
        return samples.mean(0), ((samples - samples.mean(0)) ** 2).mean(0).sqrt()

    for seed in (*range(2), 24, 29, 74, 167, 175):
        assert grade("Dropout", {"Dropout": Dropout}, seed).passed
        for function in (in_one_batch, monte_carlo_predict):
            report = grade("monte_carlo_predict", {"monte_carlo_predict": function}, seed)
            assert report.passed, f"seed {seed}\n{report}"


# Mistakes as students write them.


def forward_with(
    mask=lambda x, k, rng: rng.random(x.shape) < k,
    scale=lambda k: 1 / k,
    evaluation=lambda x, k, rng: x,
):
    def forward(x, keep_prob, training, rng):
        if not 0 < keep_prob <= 1:
            raise ValueError("keep_prob")
        if not training:
            return evaluation(x, keep_prob, rng), (1, 1)
        m = mask(x, keep_prob, rng)
        return x * m * scale(keep_prob), (m, scale(keep_prob))

    return forward


FORWARD_MISTAKES = {
    "dropout-keep-drop-swapped": {"mask": lambda x, k, rng: rng.random(x.shape) > k},
    "dropout-scale-swapped": {"scale": lambda k: 1 / (1 - k) if k < 1 else 1.0},
    "dropout-no-rescale": {"scale": lambda k: 1.0},
    "dropout-vanilla": {"scale": lambda k: 1.0, "evaluation": lambda x, k, rng: x * k},
    "dropout-scaled-twice": {"scale": lambda k: 1 / k**2},
    "dropout-active-in-eval": {
        "evaluation": lambda x, k, rng: x * (rng.random(x.shape) < k) / k,
    },
    "dropout-scaled-in-eval": {"evaluation": lambda x, k, rng: x * k},
    "dropout-divided-in-eval": {"evaluation": lambda x, k, rng: x / k},
    "dropout-keep-is-drop": {
        "mask": lambda x, k, rng: rng.random(x.shape) >= k,
        "scale": lambda k: 1 / (1 - k) if k < 1 else 1.0,
    },
    "dropout-unscaled-in-both": {
        "scale": lambda k: 1.0,
        "evaluation": lambda x, k, rng: x * (rng.random(x.shape) < k),
    },
    "dropout-ignored": {"mask": lambda x, k, rng: 1, "scale": lambda k: 1.0},
    "dropout-nothing-kept": {"mask": lambda x, k, rng: np.trunc(rng.random(x.shape)) * k},
    "dropout-returns-mask": {
        "mask": lambda x, k, rng: (rng.random(x.shape) < k) / x,
    },
    "dropout-normal-noise": {"mask": lambda x, k, rng: rng.standard_normal(x.shape) < k},
    "dropout-coin-flip": {"mask": lambda x, k, rng: rng.integers(0, 2, x.shape)},
    "dropout-one-draw": {"mask": lambda x, k, rng: rng.random() < k},
    "dropout-shared-mask": {"mask": lambda x, k, rng: rng.random(x.shape[1:]) < k},
    "dropout-row-mask": {"mask": lambda x, k, rng: rng.random((len(x),) + (1,) * (x.ndim - 1)) < k},
    "dropout-fixed-seed": {"mask": lambda x, k, rng: np.random.default_rng(0).random(x.shape) < k},
    "dropout-ignores-rng": {"mask": lambda x, k, rng: np.random.default_rng().random(x.shape) < k},
}


@pytest.mark.parametrize("mistake", FORWARD_MISTAKES)
def test_mistakes_of_the_forward_pass_are_named(mistake):
    """A student's forward pass with a known mistake loses points and the mistake is named."""
    functions = {"dropout_forward": forward_with(**FORWARD_MISTAKES[mistake])}
    for seed in SEEDS:
        report = grade("dropout_forward", functions, seed)
        assert mistake in named(report), f"seed {seed}\n{report}"
        assert named(report) <= {mistake, None}
        assert report.points < report.max_points


def test_every_mistake_of_the_catalog_is_tried():
    """The table above has a student for every declared mistake of the forward pass."""
    declared = {one.id for one in tasks["dropout_forward"].misconceptions}
    assert declared == FORWARD_MISTAKES.keys()


BACKWARD_MISTAKES = {
    "dropout-backward-no-mask": lambda d_out, mask, scale, rng: d_out,
    "dropout-backward-no-mask-scaled": lambda d_out, mask, scale, rng: d_out * scale,
    "dropout-backward-no-scale": lambda d_out, mask, scale, rng: d_out * mask,
    "dropout-backward-new-mask": lambda d_out, mask, scale, rng: (
        d_out * (rng.random(d_out.shape) < 1 / scale) * scale
    ),
}


@pytest.mark.parametrize("mistake", BACKWARD_MISTAKES)
def test_mistakes_of_the_backward_pass_are_named(mistake):
    """A student's backward pass with a known mistake loses points and the mistake is named."""
    rng = np.random.default_rng(0)

    def backward(d_out, cache):
        return BACKWARD_MISTAKES[mistake](d_out, *cache, rng)

    functions = {"dropout_forward": forward_with(), "dropout_backward": backward}
    for seed in SEEDS:
        report = grade("dropout_backward", functions, seed)
        assert named(report) == {mistake}, f"seed {seed}\n{report}"
        assert report.points == 1.5


def test_a_mask_read_off_the_output_is_named():
    """Zeros of the input that were kept must pass their gradient."""

    def forward(x, keep_prob, training, rng):
        out, _ = forward_with()(x, keep_prob, training, rng)
        return out, (out, keep_prob, training)

    def backward(d_out, cache):
        out, keep_prob, training = cache
        return d_out * (out != 0) / keep_prob if training else d_out

    functions = {"dropout_forward": forward, "dropout_backward": backward}
    report = grade("dropout_backward", functions, 0)
    assert named(report) == {"dropout-backward-mask-from-output"}, str(report)


def test_scaling_the_gradient_in_evaluation_is_named():
    """After an evaluation forward the gradient passes as it is."""

    def forward(x, keep_prob, training, rng):
        out, (mask, _) = forward_with()(x, keep_prob, training, rng)
        return out, (mask, keep_prob)

    def backward(d_out, cache):
        mask, keep_prob = cache
        return d_out * mask / keep_prob

    functions = {"dropout_forward": forward, "dropout_backward": backward}
    report = grade("dropout_backward", functions, 0)
    assert named(report) == {"dropout-backward-scaled-in-eval"}, str(report)


def test_a_mask_kept_in_a_global_variable_fails():
    """The gradient belongs to its own forward pass, not to the latest one."""
    latest = {}

    def forward(x, keep_prob, training, rng):
        out, latest["cache"] = forward_with()(x, keep_prob, training, rng)
        return out, None

    def backward(d_out, cache):
        mask, scale = latest["cache"]
        return d_out * mask * scale

    functions = {"dropout_forward": forward, "dropout_backward": backward}
    assert grade("dropout_backward", functions, 0).points == 1.5


def test_dropping_an_exact_count_is_caught():
    """Dropping exactly (1 − keep_prob) of a row is not dropping each element on its own."""

    def mask(x, k, rng):
        order = rng.permutation(x.size).reshape(x.shape)
        return order < round(k * x.size)

    for seed in SEEDS:
        report = grade("dropout_forward", {"dropout_forward": forward_with(mask)}, seed)
        failed = {finding.aspect for finding in report.findings if not finding.passed}
        assert "each element on its own" in failed


def test_a_mask_shared_by_channels_is_caught():
    """Dropping whole channels, as spatial dropout does, is not dropping elements."""

    def mask(x, k, rng):
        return rng.random(x.shape[:2] + (1,) * (x.ndim - 2)) < k

    report = grade("dropout_forward", {"dropout_forward": forward_with(mask)}, 0)
    assert not report.passed


def test_zeros_and_identity_earn_little():
    """Zeros earn nothing, and the identity only what it is right about: evaluation mode."""
    zeros = {
        "dropout_forward": lambda x, keep_prob, training, rng: (0 * x, None),
        "dropout_backward": lambda d_out, cache: 0 * d_out,
    }
    identity = {
        "dropout_forward": lambda x, keep_prob, training, rng: (x.copy(), None),
        "dropout_backward": lambda d_out, cache: d_out.copy(),
    }
    assert grade("dropout_forward", zeros, 0).points == 0
    assert grade("dropout_backward", zeros, 0).points == 0
    assert grade("dropout_forward", identity, 0).points <= 1.5
    assert grade("dropout_backward", identity, 0).points <= 1.5


def test_a_bad_keep_prob_must_be_refused():
    """A keep_prob outside (0, 1] that passes in silence costs a quarter."""

    def forward(x, keep_prob, training, rng):
        if not training:
            return x, None
        with np.errstate(all="ignore"):
            return np.nan_to_num(x * (rng.random(x.shape) < keep_prob) / keep_prob), None

    report = grade("dropout_forward", {"dropout_forward": forward}, 0)
    assert report.points == 7 - 1.75
    assert report.findings[-1].misconception == "dropout-accepts-bad-keep-prob"


def test_another_exception_than_a_value_error_is_named():
    """An `assert` is no ValueError; where everything fails in that way, it is said once."""

    class Dropout(nn.Module):
        def __init__(self, p):
            super().__init__()
            assert 0 <= p <= 1
            self.p = p

        def forward(self, x):
            raise KeyError(self.p)

    report = grade("Dropout", {"Dropout": Dropout}, 0)
    assert "Your code raised AssertionError" in report.findings[-1].message
    broken = type("Dropout", (nn.Module,), {"__init__": lambda self, p: 1 / 0})
    report = grade("Dropout", {"Dropout": broken}, 0)
    assert "raised" not in report.findings[-1].message


def test_the_right_gradient_of_a_wrong_forward_pass_earns_half():
    """A student whose only mistake is the missing scale keeps half of the backward pass."""
    unscaled = {
        "dropout_forward": forward_with(scale=lambda k: 1.0),
        "dropout_backward": lambda d_out, cache: d_out * cache[0],
    }
    for seed in SEEDS:
        training, evaluation = grade("dropout_backward", unscaled, seed).findings
        assert training.points == 2.25, training
        assert "dropout-no-rescale" in training.message
        assert evaluation.passed


@pytest.mark.parametrize("mistake", ["dropout-shared-mask", "dropout-row-mask"])
def test_elements_that_share_a_fate_cost_the_same_whatever_is_drawn(mistake):
    """The forward pass loses the same points each time; the backward pass is right, and is told so.

    Few draws decide about many elements then, so their share is far from `keep_prob` by chance.
    """
    functions = {
        "dropout_forward": forward_with(**FORWARD_MISTAKES[mistake]),
        "dropout_backward": lambda d_out, cache: d_out * cache[0] * cache[1],
    }
    forward = {grade("dropout_forward", functions, seed).points for seed in range(8)}
    assert len(forward) == 1, forward
    assert max(forward) < 7
    for seed in range(8):
        report = grade("dropout_backward", functions, seed)
        assert report.passed, report


def test_keeping_all_values_or_none_is_not_called_sharing_draws():
    """No chance keeps all of 100,000 values, so nothing is said of rows and calls that share it."""

    def mask(x, k, rng):
        return np.full(x.shape, k > 0.5)

    for seed in SEEDS:
        report = grade("dropout_forward", {"dropout_forward": forward_with(mask)}, seed)
        # Where something is kept, it has the right size.
        assert report.points <= 3.5
        for mistake in ("dropout-shared-mask", "dropout-row-mask", "dropout-fixed-seed"):
            assert mistake not in str(report), f"seed {seed}\n{report}"


def test_zeros_are_not_called_a_mask_of_ones():
    """That all values fare alike is a sign of both; the share that is kept tells them apart."""
    zeros = {"dropout_forward": forward_with(scale=lambda k: 0.0)}
    report = grade("dropout_forward", zeros, 0)
    assert named(report) == {"dropout-nothing-kept"}, str(report)


def test_what_keeps_a_mask_from_being_read_is_told():
    """A flat output shows no mask, so all that depends on the mask is told about the shape."""

    def forward(x, keep_prob, training, rng):
        out, cache = forward_with()(x, keep_prob, training, rng)
        return (out.ravel() if x.ndim > 1 else out[:1]), cache

    report = grade("dropout_forward", {"dropout_forward": forward}, 0)
    for finding in report.findings[:4]:
        assert "shape" in finding.message.splitlines()[0], str(report)


def test_the_share_that_is_kept_instead_is_told():
    """Two draws for each value keep the square of keep_prob."""

    def mask(x, k, rng):
        return (rng.random(x.shape) < k) * (rng.random(x.shape) < k)

    report = grade("dropout_forward", {"dropout_forward": forward_with(mask)}, 0)
    said = report.findings[0].message
    assert "The fraction of values kept is about `keep_prob`² wherever it is wrong." in said


# The laws.


def test_false_alarms_stay_below_one_in_a_million_per_grading():
    """Each comparison fails a right answer with probability < 1e-9, and there are few of them."""
    for name in ("dropout_forward", "dropout_backward", "Dropout", "monte_carlo_predict"):
        task = tasks[name]
        laws = 0
        for case in task.draw(np.random.default_rng(0)):
            filled = {
                "mask": np.ones(case.inputs["x"].shape, dtype=bool),
                "redrawn": np.ones(case.inputs["x"].shape, dtype=bool),
                "mean": np.zeros((len(case.inputs["x"]), 3)),
            }
            expected = task.reference({**case.inputs, **filled})
            laws += sum(isinstance(value, Probability) for value in expected.values())
        assert 0 < laws * FALSE_ALARM < 1e-6


@pytest.mark.parametrize("off", [-0.02, 0.02])
def test_a_rate_off_by_two_hundredths_is_caught(off):
    """A mask that keeps 0.02 too much or too little loses the points for its rate."""
    functions = {
        "dropout_forward": forward_with(lambda x, k, rng: rng.random(x.shape) < k + off * (k < 1))
    }
    for seed in range(4):
        report = grade("dropout_forward", functions, seed)
        rate = next(one for one in report.findings if one.aspect == "share of values kept")
        assert not rate.passed, f"seed {seed}"


def test_the_power_that_is_promised_follows_from_the_number_of_values():
    """With 100 000 values an error of 0.02 is missed with probability below 1e-7.

    A right rate p is accepted while n KL(p̂, p) <= log(2 / 1e-9).  By Pinsker's inequality then
    |p̂ − p| <= sqrt(log(2e9) / 2n), and by Hoeffding's a rate that is off by 0.02 comes so close
    with probability at most exp(−2n (0.02 − that)²).
    """
    margin = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * VALUES))
    assert math.exp(-2 * VALUES * (0.02 - margin) ** 2) < 1e-7


# The modules.


class Wrong(nn.Module):
    """A module with one thing done differently."""

    def __init__(self, p):
        super().__init__()
        self.p = p
        if not 0 <= p <= 1:
            raise ValueError(p)

    def forward(self, x):
        if not self.training:
            return x
        return x * (torch.rand_like(x) < self.p) / self.p if self.p else x * 0


class IgnoresMode(nn.Module):
    """A module that drops in both modes."""

    def __init__(self, p):
        super().__init__()
        self.p = p
        if not 0 <= p <= 1:
            raise ValueError(p)

    def forward(self, x):
        return x * (torch.rand_like(x) >= self.p) / (1 - self.p) if self.p < 1 else x * 0


class DrawsFromNumPy(nn.Module):
    """A module whose masks PyTorch's seed does not repeat."""

    def __init__(self, p):
        super().__init__()
        self.p = p
        self.rng = np.random.default_rng(0)
        if not 0 <= p <= 1:
            raise ValueError(p)

    def forward(self, x):
        if not self.training:
            return x
        mask = torch.from_numpy(self.rng.random(x.shape) >= self.p)
        return x * mask / (1 - self.p) if self.p < 1 else x * 0


class AcceptsAnything(solution("dropout")["Dropout"]):
    """A module that takes any p."""

    def __init__(self, p):
        super().__init__(min(max(p, 0), 1))


@pytest.mark.parametrize(
    ("module", "mistake"),
    [
        (Wrong, "module-p-is-keep"),
        (IgnoresMode, "module-ignores-eval"),
        (DrawsFromNumPy, "module-own-generator"),
        (AcceptsAnything, "module-accepts-bad-p"),
    ],
)
def test_module_mistakes_are_named(module, mistake):
    """A student's module with a known mistake loses points and the mistake is named."""
    for seed in SEEDS:
        report = grade("Dropout", {"Dropout": module}, seed)
        assert mistake in named(report), str(report)
        assert report.points < report.max_points


def predict_with(prepare, correction=0, restore=True, repeat=False):
    def monte_carlo_predict(model, x, n_samples):
        modes = [(module, module.training) for module in model.modules()]
        prepare(model)
        with torch.no_grad():
            samples = [model(x) for _ in range(1 if repeat else n_samples)]
        samples = torch.stack(samples * (n_samples if repeat else 1))
        for module, mode in modes if restore else ():
            module.training = mode
        return samples.mean(0), samples.std(0, correction=correction)

    return monte_carlo_predict


def only_dropout(model):
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.train()


def all_but_batch_norm(model):
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval()


def first_dropout(model):
    model.eval()
    layers = [one for one in model.modules() if isinstance(one, nn.modules.dropout._DropoutNd)]
    layers[0].train()


def seeded(model):
    only_dropout(model)
    torch.manual_seed(0)


MONTE_CARLO_MISTAKES = {
    "mc-first-dropout-only": predict_with(first_dropout),
    "mc-seeds": predict_with(seeded),
    "mc-single-pass": predict_with(only_dropout, repeat=True),
    "mc-dropout-off": predict_with(lambda model: model.eval()),
    "mc-batch-norm-in-training": predict_with(lambda model: model.train()),
    "mc-others-in-training": predict_with(all_but_batch_norm),
    "mc-leaves-mode": predict_with(only_dropout, restore=False),
    "mc-changes-batch-norm": predict_with(lambda model: model.train()),
}


@pytest.mark.filterwarnings("ignore:std")
@pytest.mark.parametrize("mistake", MONTE_CARLO_MISTAKES)
def test_monte_carlo_mistakes_are_named(mistake):
    """A student's prediction with a known mistake loses points and the mistake is named."""
    functions = {"monte_carlo_predict": MONTE_CARLO_MISTAKES[mistake]}
    for seed in SEEDS:
        report = grade("monte_carlo_predict", functions, seed)
        assert mistake in named(report), f"seed {seed}\n{report}"
        assert report.points < report.max_points


def test_the_sample_standard_deviation_fails():
    """Dividing by n − 1 is told apart from dividing by n, and is named."""
    functions = {"monte_carlo_predict": predict_with(only_dropout, correction=1)}
    report = grade("monte_carlo_predict", functions, 0)
    assert named(report) == {"mc-sample-std"}, str(report)


def test_torchs_own_layer_earns_all_points():
    """The task asks for what nn.Dropout does, so nn.Dropout passes it."""
    for seed in range(2):
        report = judged("Dropout", {"Dropout": nn.Dropout}, seed)
        assert report.passed, str(report)
