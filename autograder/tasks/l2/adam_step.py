"""Declare the task on a step of Adam or AdamW.

The reference is plain arithmetic, so that torch.optim remains an independent witness.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.answers import unpack, unpack_dict
from autograder.tasks.l2 import ASSIGNMENT, sections
from autograder.tasks.l2.cases import draw_weight_decay

Array = NDArray[np.float64]


def _corrected(average: Array, beta: float, step: int) -> Array:
    return average / (1 - beta**step)


def _adam_update(m: Array, v: Array, betas: tuple[float, float], eps: float, step: int) -> Array:
    return _corrected(m, betas[0], step) / (np.sqrt(_corrected(v, betas[1], step)) + eps)


def _decay_and_step(w: Array, update: Array, lr: float, weight_decay: float) -> Array:
    return (1 - lr * weight_decay) * w - lr * update


def _adam(
    inputs: Inputs,
    *,
    is_decoupled: Callable[[bool], bool] = lambda decoupled: decoupled,
    coupled_gradient: Callable[[Array, Array, float], Array] = lambda g, w, decay: g + decay * w,
    decay_and_step: Callable[[Array, Array, float, float], Array] = _decay_and_step,
    squared: Callable[[Array], Array] = np.square,
    used_betas: Callable[[Any], tuple[float, float]] = lambda betas: (betas[0], betas[1]),
    update: Callable[[Array, Array, tuple[float, float], float, int], Array] = _adam_update,
    counted: Callable[[int], int] = lambda step: step + 1,
    kept: Callable[[Array, float, int], Array] = lambda average, beta, step: average,
) -> dict[str, Expected]:
    """Return the parameter and the state after one step for each gradient."""
    w, lr, weight_decay = inputs["param"], inputs["lr"], inputs["weight_decay"]
    step, m, v = (inputs["state"][name] for name in ("step", "m", "v"))
    betas = used_betas(inputs["betas"])
    decoupled = is_decoupled(inputs["decoupled"])
    for g in inputs["grads"]:
        t = step + 1
        if not decoupled:
            g = coupled_gradient(g, w, weight_decay)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * squared(g)
        # Only mistakes take the root of a negative average or divide by zero.
        with np.errstate(divide="ignore", invalid="ignore"):
            change = update(m, v, betas, inputs["eps"], t)
        w = decay_and_step(w, change, lr, weight_decay if decoupled else 0.0)
        m, v = kept(m, betas[0], t), kept(v, betas[1], t)
        step = counted(step)
    return {"param": w, "m": m, "v": v, "step": np.asarray(float(step))}


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(
        *shape: int,
        steps: int,
        eps: float,
        decoupled: bool,
        weight_decay: float | None = None,
        before: int = 0,
    ) -> dict[str, Any]:
        earlier = rng.standard_normal((2, *shape)) if before else np.zeros((2, *shape))
        return {
            "param": rng.standard_normal(shape),
            "grads": [rng.standard_normal(shape) for _ in range(steps)],
            "state": {"step": before, "m": 0.5 * earlier[0], "v": 0.5 * earlier[1] ** 2},
            "lr": float(rng.uniform(0.1, 0.5)),
            "betas": (float(rng.uniform(0.6, 0.85)), float(rng.uniform(0.88, 0.98))),
            "eps": eps,
            "weight_decay": draw_weight_decay(rng) if weight_decay is None else weight_decay,
            "decoupled": decoupled,
        }

    return [
        Case(
            "four steps without weight decay",
            inputs(4, 3, steps=4, eps=1e-8, decoupled=False, weight_decay=0.0),
            "no decay",
        ),
        Case(
            "a large eps, without weight decay",
            inputs(5, steps=3, eps=0.3, decoupled=True, weight_decay=0.0),
            "no decay",
        ),
        Case("Adam, one step", inputs(6, steps=1, eps=0.2, decoupled=False), "Adam"),
        Case("Adam, four steps", inputs(3, 4, steps=4, eps=0.1, decoupled=False), "Adam"),
        Case(
            "Adam, after seven earlier steps",
            inputs(2, 5, steps=2, eps=1e-3, decoupled=False, before=7),
            "Adam",
        ),
        Case("AdamW, one step", inputs(6, steps=1, eps=0.2, decoupled=True), "AdamW"),
        Case("AdamW, four steps", inputs(4, 2, steps=4, eps=0.1, decoupled=True), "AdamW"),
        Case(
            "AdamW, after five earlier steps",
            inputs(3, 3, steps=2, eps=1e-3, decoupled=True, before=5),
            "AdamW",
        ),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    param, state = inputs["param"], inputs["state"]
    options = [inputs[name] for name in ("lr", "betas", "eps", "weight_decay", "decoupled")]
    for grad in inputs["grads"]:
        returned = student["adam_step"](param, grad, state, *options)
        param, state = unpack("adam_step", returned, ("param", "state"))
        parts = unpack_dict("adam_step", "state", state, ("step", "m", "v"))
    step, m, v = parts.values()
    # A count may be any kind of integer.
    if isinstance(step, np.ndarray | np.generic) and step.ndim == 0:
        step = step.item()
    return {"param": param, "m": m, "v": v, "step": step}


_MISCONCEPTIONS = (
    Misconception(
        "adam-coupled-as-adamw",
        "With `decoupled` you still add λw to the gradient, where it is divided by √v̂ like "
        "everything else. Decoupled decay multiplies the parameter by 1 − ηλ and leaves the "
        "gradient alone.",
        sections.ADAM,
        {"is_decoupled": lambda decoupled: False},
    ),
    Misconception(
        "adamw-as-coupled",
        "Without `decoupled` you multiply the parameter by 1 − ηλ, which is AdamW. In Adam "
        "λw is added to the gradient before m and v see it.",
        sections.ADAM,
        {"is_decoupled": lambda decoupled: True},
    ),
    Misconception(
        "adam-decoupling-swapped",
        "You do Adam's step when `decoupled` is true and AdamW's when it is false.",
        sections.ADAM,
        {"is_decoupled": lambda decoupled: not decoupled},
    ),
    Misconception(
        "adamw-without-lr",
        "Your decoupled decay multiplies by 1 − λ. PyTorch's AdamW multiplies by 1 − ηλ, with "
        "the learning rate in it.",
        sections.ADAM,
        {"decay_and_step": lambda w, update, lr, decay: (1 - decay) * w - lr * update},
    ),
    Misconception(
        "adamw-sign",
        "Your decoupled decay multiplies by 1 + ηλ, so the weights grow.",
        sections.ADAM,
        {"decay_and_step": lambda w, update, lr, decay: (1 + lr * decay) * w - lr * update},
    ),
    Misconception(
        "adamw-decay-after",
        "You decay the parameter after Adam's step, the step included. AdamW decays it first.",
        sections.ADAM,
        {"decay_and_step": lambda w, update, lr, decay: (1 - lr * decay) * (w - lr * update)},
    ),
    Misconception(
        "l2-ignored",
        "Your step does not use weight_decay.",
        sections.ADAM,
        {
            "coupled_gradient": lambda g, w, decay: g,
            "decay_and_step": lambda w, update, lr, decay: w - lr * update,
        },
    ),
    Misconception(
        "l2-sign",
        "You subtract λw from the gradient. The penalty's gradient is added.",
        sections.GRADIENT,
        {"coupled_gradient": lambda g, w, decay: g - decay * w},
    ),
    Misconception(
        "adam-no-bias-correction",
        "You use m and v as they are. They start at zero and are too small in the first steps; "
        "divide them by 1 − β₁ᵗ and 1 − β₂ᵗ.",
        sections.ADAM,
        {"update": lambda m, v, betas, eps, step: m / (np.sqrt(v) + eps)},
    ),
    Misconception(
        "adam-eps-inside-root",
        "You divide by √(v̂ + ε). In Adam ε is added after the root: √v̂ + ε.",
        sections.ADAM,
        {
            "update": lambda m, v, betas, eps, step: (
                _corrected(m, betas[0], step) / np.sqrt(_corrected(v, betas[1], step) + eps)
            )
        },
    ),
    Misconception(
        "adam-eps-before-correction",
        "You add ε to √v and correct for the start at zero afterwards, which rescales ε too. "
        "PyTorch adds it to the corrected √v̂.",
        sections.ADAM,
        {
            "update": lambda m, v, betas, eps, step: (
                _corrected(m, betas[0], step) * np.sqrt(1 - betas[1] ** step) / (np.sqrt(v) + eps)
            )
        },
    ),
    Misconception(
        "adam-counts-from-zero",
        "Your bias correction counts the first step as number 0, where 1 − β⁰ is zero. "
        '`state["step"]` counts the steps before this one.',
        sections.ADAM,
        {"update": lambda m, v, betas, eps, step: _adam_update(m, v, betas, eps, step - 1)},
    ),
    Misconception(
        "adam-no-root",
        "You divide by v̂ + ε. It is an average of squares; Adam divides by its root.",
        sections.ADAM,
        {
            "update": lambda m, v, betas, eps, step: (
                _corrected(m, betas[0], step) / (_corrected(v, betas[1], step) + eps)
            )
        },
    ),
    Misconception(
        "adam-not-squared",
        "Your v averages the gradient. It should average the square of the gradient.",
        sections.ADAM,
        {"squared": lambda g: g},
    ),
    Misconception(
        "adam-betas-swapped",
        "β₁ and β₂ have changed places: `betas[0]` belongs to m, `betas[1]` to v.",
        sections.ADAM,
        {"used_betas": lambda betas: (betas[1], betas[0])},
    ),
    Misconception(
        "adam-corrected-in-state",
        "You store the corrected averages in the state, so that the next step corrects them "
        "again. Keep m and v as they are and correct only what you divide.",
        sections.ADAM,
        {"kept": _corrected},
    ),
    Misconception(
        "adam-step-not-counted",
        'The "step" in the state you return is the one that came in, so every step corrects '
        "like the first. Return it increased by one.",
        sections.ADAM,
        {"counted": lambda step: step},
    ),
)

ADAM = Task(
    name="adam_step",
    assignment=ASSIGNMENT,
    number=5,
    section=sections.ADAM,
    hints=(
        "Follow λw through the formulas: in which of the two kinds is it divided by the root of "
        "v̂, and in which not?",
        "Decide first what the gradient is and what the weight is that Adam's step starts from; "
        "from there on both kinds are the same.",
        '`state["step"]` counts the steps taken so far. Which t does the first step have?',
        "The state keeps m and v, not m̂ and v̂: the correction is for this step only. Return a "
        "new dict and leave the old one as it is.",
        "Coupled: change the gradient, before anything else. Decoupled: change the weight, before "
        "anything else. And ε comes after the root.",
    ),
    aspects=(
        Aspect("parameter without weight decay", 1.5, ("param",), ("no decay",)),
        Aspect("parameter with weight decay as in Adam", 1.5, ("param",), ("Adam",)),
        Aspect("parameter with weight decay as in AdamW", 1.5, ("param",), ("AdamW",)),
        Aspect("state", 1.5, ("m", "v", "step")),
    ),
    draw=_draw,
    run=_run,
    reference=_adam,
    misconceptions=_MISCONCEPTIONS,
)
