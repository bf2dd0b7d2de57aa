"""Mistakes as students write them, which no other file of these tests makes: each is told."""

import numpy as np
import pytest
import torch
from helpers.solutions import solution
from torch import nn

from autograder import grade, tasks


def solved(name, **replaced):
    return {**solution(tasks[name].assignment.name), **replaced}


def penalty_returning_early(weights, weight_decay):
    total = 0.0
    for w in weights:
        total += 0.5 * weight_decay * np.sum(w**2)
        return total


def softmax_with(probabilities):
    def softmax_regression(x, y, W, b, weight_decay):
        p = probabilities(x @ W + b)
        rows = np.arange(len(y))
        loss = -np.log(p[rows, y]).mean() + 0.5 * weight_decay * np.sum(W**2)
        d = p.copy()
        d[rows, y] -= 1
        d /= len(y)
        return loss, x.T @ d + weight_decay * W, d.sum(0)

    return softmax_regression


def shifted_by_rows(scores):
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def shifted_by_the_batch(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum(1, keepdims=True)


def softmax_written(*, loss=None, scores_gradient=None, penalty=None, d_W=None):
    """Return softmax regression with another loss, gradient at the scores or penalty."""

    def softmax_regression(x, y, W, b, weight_decay):
        scores, rows = x @ W + b, np.arange(len(y))
        p = shifted_by_rows(scores)
        shifted = scores - scores.max(1, keepdims=True)
        right = np.log(np.exp(shifted).sum(1)) - shifted[rows, y]
        value = (loss(scores, p, y, rows) if loss else right).mean()
        one_hot = np.eye(len(b))[y]
        d = (scores_gradient(p, one_hot) if scores_gradient else p - one_hot) / len(y)
        value += (penalty or 0.5 * weight_decay) * np.sum(W**2)
        gradient = x.T @ d + weight_decay * W
        return value, d_W(gradient, W, weight_decay) if d_W else gradient, d.sum(0)

    return softmax_regression


def softmax_by_plain_sums(x, y, W, b, weight_decay):
    scores, rows = x @ W + b, np.arange(len(y))
    e = np.exp(scores)
    loss = (np.log(e.sum(1)) - scores[rows, y]).mean() + 0.5 * weight_decay * np.sum(W**2)
    d = e / e.sum(1, keepdims=True)
    d[rows, y] -= 1
    d /= len(y)
    return loss, x.T @ d + weight_decay * W, d.sum(0)


def softmax_by_a_plain_sum_in_the_loss(x, y, W, b, weight_decay):
    scores, rows = x @ W + b, np.arange(len(y))
    loss = (np.log(np.exp(scores).sum(1)) - scores[rows, y]).mean()
    e = np.exp(scores - scores.max(1, keepdims=True))
    d = e / e.sum(1, keepdims=True)
    d[rows, y] -= 1
    d /= len(y)
    return loss + 0.5 * weight_decay * np.sum(W**2), x.T @ d + weight_decay * W, d.sum(0)


def shifted_by_the_target(x, y, W, b, weight_decay):
    scores, rows = x @ W + b, np.arange(len(y))
    e = np.exp(scores - scores[rows, y][:, None])
    p = e / e.sum(1, keepdims=True)
    loss = -np.log(p[rows, y]).mean() + 0.5 * weight_decay * np.sum(W**2)
    d = (p - np.eye(len(b))[y]) / len(y)
    return loss, x.T @ d + weight_decay * W, d.sum(0)


def adam_with(eps=lambda eps: eps, extra=0, corrected=True, inside=False, after=False):
    """Return a step of Adam with another ε, another count or another decay."""

    def adam_step(param, grad, state, lr, betas, own_eps, weight_decay, decoupled):
        e, t = eps(own_eps), state["step"] + 1 + extra
        if decoupled and not after:
            param = (1 - lr * weight_decay) * param
        elif not decoupled:
            grad = grad + weight_decay * param
        m = betas[0] * state["m"] + (1 - betas[0]) * grad
        v = betas[1] * state["v"] + (1 - betas[1]) * grad * grad
        m_hat = m / (1 - betas[0] ** t) if corrected else m
        v_hat = v / (1 - betas[1] ** t) if corrected else v
        param = param - lr * m_hat / (np.sqrt(v_hat + e) if inside else np.sqrt(v_hat) + e)
        if decoupled and after:
            param = param - weight_decay * param
        return param, {"step": state["step"] + 1, "m": m, "v": v}

    return adam_step


def adam_counting_from_zero(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    if decoupled:
        param = (1 - lr * weight_decay) * param
    else:
        grad = grad + weight_decay * param
    t = state["step"]
    m = betas[0] * state["m"] + (1 - betas[0]) * grad
    v = betas[1] * state["v"] + (1 - betas[1]) * grad * grad
    m_hat = m / np.float64(1 - betas[0] ** t)
    v_hat = v / np.float64(1 - betas[1] ** t)
    return param - lr * m_hat / (np.sqrt(v_hat) + eps), {"step": t + 1, "m": m, "v": v}


class DividesByZero(nn.Module):
    def __init__(self, p):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(p)
        self.p = p

    def forward(self, x):
        if not self.training:
            return x
        return x * (torch.rand_like(x) >= self.p) / (1 - self.p)


class ScalesTwice(DividesByZero):
    def forward(self, x):
        if not self.training:
            return x
        keep = 1 - self.p
        mask = (torch.rand_like(x) < keep) / keep if keep else torch.zeros_like(x)
        return x * mask / keep if keep else x * mask


def predict_with_variance(model, x, n_samples):
    mean, std = solution("dropout")["monte_carlo_predict"](model, x, n_samples)
    return mean, std**2


def predict_with_one_kind_of_dropout(model, x, n_samples):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    for module, _ in modes:
        if isinstance(module, nn.Dropout):
            module.train()
    with torch.no_grad():
        samples = torch.stack([model(x) for _ in range(n_samples)])
    for module, mode in modes:
        module.training = mode
    return samples.mean(0), samples.std(0, correction=0)


def groups_sparing(*spared):
    """Return groups of which one has all parameters but biases and those of some layers."""

    def parameter_groups(model, weight_decay):
        decayed, rest, seen = [], [], set()
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if not parameter.requires_grad or id(parameter) in seen:
                    continue
                seen.add(id(parameter))
                goes_free = name == "bias" or isinstance(module, spared)
                (rest if goes_free else decayed).append(parameter)
        return [
            {"params": decayed, "weight_decay": weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]

    return parameter_groups


def norm_by_the_variance(x, gamma, beta, mean, var, training, momentum=0.1, eps=1e-5):
    right = solution("batch_norm")["batch_norm_forward"]
    _, new_mean, new_var, cache = right(x, gamma, beta, mean, var, training, momentum, eps)
    if training:
        mean, var = x.mean(0), x.var(0)
    return gamma * (x - mean) / (var + eps) + beta, new_mean, new_var, cache


def images(forward_back, backward_in, backward_out):
    """Return both passes on images; the arguments say where an axis is moved and not reshaped."""
    one_dimensional = solution("batch_norm")

    def rows(a, moved):
        return (a.transpose(0, 2, 3, 1) if moved else a).reshape(-1, a.shape[1])

    def pictures(a, shape, moved):
        n, c, h, w = shape
        return a.reshape(n, h, w, c).transpose(0, 3, 1, 2) if moved else a.reshape(shape)

    def forward(x, *arguments, **options):
        out, mean, var, cache = one_dimensional["batch_norm_forward"](
            rows(x, True), *arguments, **options
        )
        return pictures(out, x.shape, forward_back), mean, var, cache

    def backward(d_out, cache):
        d_x, *others = one_dimensional["batch_norm_backward"](rows(d_out, backward_in), cache)
        return pictures(d_x, d_out.shape, backward_out), *others

    return {"batch_norm_2d_forward": forward, "batch_norm_2d_backward": backward}


def fold_with(bias=lambda b, mean, scale, beta: (b - mean) * scale + beta, root=np.sqrt):
    def fold_batch_norm(W, b, gamma, beta, mean, var, eps):
        scale = gamma / root(var + eps)
        return W * scale, bias(b, mean, scale, beta)

    return fold_batch_norm


def train_returning_early(x, y, params, running, batches, *rest):
    return solution("capstone")["train"](x, y, params, running, batches[:1], *rest)


STUDENTS = [
    ("l2_penalty", penalty_returning_early, "l2-first-only"),
    ("softmax_regression", softmax_with(shifted_by_rows), "softmax-log-of-zero"),
    ("softmax_regression", softmax_with(shifted_by_the_batch), "softmax-batch-max"),
    ("softmax_regression", softmax_by_plain_sums, "softmax-sum-overflow"),
    ("softmax_regression", softmax_by_a_plain_sum_in_the_loss, "softmax-loss-overflow"),
    ("softmax_regression", shifted_by_the_target, "softmax-shifted-by-target"),
    (
        "softmax_regression",
        softmax_written(loss=lambda scores, p, y, rows: -np.log(p[rows, y] + 1e-12)),
        "softmax-guarded-logarithm",
    ),
    (
        "softmax_regression",
        softmax_written(loss=lambda scores, p, y, rows: -np.log(np.clip(p[rows, y], 1e-12, 1))),
        "softmax-guarded-logarithm",
    ),
    (
        "softmax_regression",
        softmax_written(loss=lambda scores, p, y, rows: -p[rows, y]),
        "softmax-no-logarithm",
    ),
    (
        "softmax_regression",
        softmax_written(
            loss=lambda scores, p, y, rows: (
                scores[rows, y] - scores.max(1) - np.log(np.exp(scores.T - scores.max(1)).sum(0))
            )
        ),
        "softmax-loss-sign",
    ),
    (
        "softmax_regression",
        softmax_written(scores_gradient=lambda p, one_hot: one_hot - p),
        "softmax-gradient-sign",
    ),
    (
        "softmax_regression",
        softmax_written(scores_gradient=lambda p, one_hot: -one_hot / np.where(one_hot, p, 1)),
        "softmax-gradient-through-logarithm",
    ),
    ("softmax_regression", softmax_written(penalty=0.5), "l2-loss-without-lambda"),
    (
        "softmax_regression",
        softmax_written(d_W=lambda gradient, W, decay: gradient + (1 - decay) * W),
        "l2-gradient-without-lambda",
    ),
    (
        "softmax_regression",
        softmax_written(d_W=lambda gradient, W, decay: gradient - decay / 2 * W),
        "l2-half-gradient",
    ),
    (
        "softmax_regression",
        softmax_written(d_W=lambda gradient, W, decay: decay * W),
        "l2-replaces-gradient",
    ),
    ("adam_step", adam_counting_from_zero, "adam-counts-from-zero"),
    ("adam_step", adam_with(extra=1), "adam-counts-one-too-many"),
    ("adam_step", adam_with(eps=lambda eps: 1e-8), "adam-eps-always-1e-8"),
    ("adam_step", adam_with(eps=lambda eps: 1e-7), "adam-eps-always-1e-7"),
    ("adam_step", adam_with(eps=lambda eps: 0.0), "adam-no-eps"),
    ("adam_step", adam_with(after=True), "adamw-without-lr-after"),
    (
        "adam_step",
        adam_with(corrected=False, inside=True),
        "adam-no-bias-correction-eps-inside-root",
    ),
    ("Dropout", DividesByZero, "dropout-keep-zero"),
    ("Dropout", ScalesTwice, "dropout-scaled-twice"),
    ("monte_carlo_predict", predict_with_variance, "mc-variance"),
    ("monte_carlo_predict", predict_with_one_kind_of_dropout, "mc-dropout-of-one-kind"),
    ("parameter_groups", groups_sparing(nn.BatchNorm1d, nn.LayerNorm), "groups-by-type"),
    ("parameter_groups", groups_sparing(nn.LayerNorm), "groups-layer-norm-only"),
    ("parameter_groups", groups_sparing(nn.BatchNorm1d), "groups-batch-norm-only"),
    ("batch_norm_forward", norm_by_the_variance, "bn-no-root"),
    ("batch_norm_2d_forward", images(False, True, True), "bn2d-not-moved-back"),
    ("batch_norm_2d_backward", images(True, False, False), "bn2d-backward-no-transpose"),
    ("batch_norm_2d_backward", images(True, False, True), "bn2d-backward-d-out"),
    ("batch_norm_2d_backward", images(True, True, False), "bn2d-backward-d-x"),
    (
        "fold_batch_norm",
        fold_with(lambda b, mean, scale, beta: b - mean * scale + beta),
        "fold-bias-not-scaled",
    ),
    (
        "fold_batch_norm",
        fold_with(lambda b, mean, scale, beta: (b - mean) * scale),
        "fold-forgets-beta",
    ),
    ("fold_batch_norm", fold_with(root=lambda var: var), "fold-no-root"),
    ("train", train_returning_early, "train-first-only"),
]


@pytest.mark.parametrize(("name", "answer", "mistake"), STUDENTS, ids=[one[2] for one in STUDENTS])
def test_a_student_who_makes_it_is_told_so(name, answer, mistake):
    """The mistake is named, it alone, and said to account for everything."""
    functions = answer if isinstance(answer, dict) else {name: answer}
    for seed in range(3):
        report = grade(name, solved(name, **functions), seed)
        named = {finding.misconception for finding in report.findings if not finding.passed}
        assert named == {mistake}, f"seed {seed}\n{report}"
        assert "one mistake explains all numbers" in " ".join(str(report).split())
        assert report.points < report.max_points


# What has no id: the message tells it.


def assumes_a_matrix(x, keep_prob, training, rng):
    _n, _d = x.shape
    return solution("dropout")["dropout_forward"](x, keep_prob, training, rng)


def swapped(name):
    right = solution(tasks[name].assignment.name)[name]

    def function(*arguments, **options):
        first, second, *rest = right(*arguments, **options)
        return second, first, *rest

    return function


def in_float32(name):
    right = solution(tasks[name].assignment.name)[name]

    def function(*arguments):
        first, *rest = right(*arguments)
        return first.astype(np.float32), *rest

    return function


def groups(decayed):
    def parameter_groups(model, weight_decay):
        rest = {"params": [p for p in model.parameters() if not decayed(p)], "weight_decay": 0.0}
        some = {"params": [p for p in model.parameters() if decayed(p)]}
        return [rest, {**some, "weight_decay": weight_decay}]

    return parameter_groups


MESSAGES = [
    ("dropout_forward", assumes_a_matrix, "four dimensions”: Your code raised ValueError"),
    ("monte_carlo_predict", swapped("monte_carlo_predict"), "`mean` and `std` are swapped"),
    (
        "batch_norm_backward",
        swapped("batch_norm_backward"),
        "`d_x` and `d_gamma` are swapped",
    ),
    ("fold_batch_norm", in_float32("fold_batch_norm"), "your code makes an array of float32"),
    ("l2_penalty_backward", lambda weights, decay: [decay * weights[0]], "inside the loop?"),
    ("parameter_groups", groups(lambda p: p.ndim == 4), "weights are in the decayed group; all"),
]


@pytest.mark.parametrize(("name", "answer", "words"), MESSAGES, ids=[one[0] for one in MESSAGES])
def test_what_has_no_name_has_a_message(name, answer, words):
    """The report says what is different about these numbers."""
    report = grade(name, solved(name, **{name: answer}), 0)
    assert report.points < report.max_points
    assert words in " ".join(str(report).split())


def test_groups_may_come_in_either_order():
    """An optimizer does not care which group is the first."""
    right = solution("l2")["parameter_groups"]
    reversed_groups = {"parameter_groups": lambda *arguments: right(*arguments)[::-1]}
    assert grade("parameter_groups", reversed_groups, 0).passed
