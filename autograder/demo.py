"""The sample class: a course in `demo/` with submissions of every kind, made and graded.

Its submissions are the exercises' own solutions, with a few words replaced for each mistake.  So
they follow when an exercise changes, or fail loudly.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from rich.table import Column, Table

from autograder import cli
from autograder.course.course import CONFIG, Course, CourseError
from autograder.course.release import release
from autograder.course.scores import Score, scores
from autograder.intake import cells, exercise
from autograder.sandbox import Sandbox, SandboxUnavailableError
from autograder.tasks import assignments

_STUB = "raise NotImplementedError()"
_BROKEN = "This was a notebook once.\n"


@dataclass(frozen=True)
class Mistake:
    """A classic mistake, made by editing a solution.

    Attributes
    ----------
    id
        The id of the misconception that the grader should name.
    task
        The task whose answer has the mistake.
    replacements
        Pairs of a text in the solution and its replacement.
    """

    id: str
    task: str
    replacements: tuple[tuple[str, str], ...]


MISTAKES: dict[str, tuple[Mistake, ...]] = {
    "l2": (
        Mistake("l2-missing-half", "l2_penalty", (("0.5 * weight_decay", "weight_decay"),)),
        Mistake("l2-sign", "l2_penalty_backward", (("[weight_decay", "[-weight_decay"),)),
        Mistake(
            "l2-decays-bias",
            "softmax_regression",
            (
                ("l2_penalty([W], weight_decay)", "l2_penalty([W, b], weight_decay)"),
                ("d_scores.sum(axis=0)", "d_scores.sum(axis=0) + weight_decay * b"),
            ),
        ),
        Mistake(
            "sgd-decay-without-lr",
            "sgd_step",
            (
                (
                    "param - lr * (grad + weight_decay * param)",
                    "param * (1 - weight_decay) - lr * grad",
                ),
            ),
        ),
        Mistake(
            "adam-no-bias-correction",
            "adam_step",
            ((" / (1 - beta1**step)", ""), (" / (1 - beta2**step)", "")),
        ),
        Mistake(
            "groups-decay-everything",
            "parameter_groups",
            (("p.ndim >= 2", "p.ndim >= 0"), ("p.ndim < 2", "p.ndim < 0")),
        ),
    ),
    "dropout": (
        Mistake(
            "dropout-keep-drop-swapped", "dropout_forward", ((") < keep_prob", ") > keep_prob"),)
        ),
        Mistake("dropout-no-rescale", "dropout_forward", ((" / keep_prob\n", " * 1.0\n"),)),
        Mistake("dropout-shared-mask", "dropout_forward", (("x.shape)", "x.shape[1:])"),)),
        Mistake(
            "dropout-backward-no-mask",
            "dropout_backward",
            (("d_out * scaled_mask", "1.0 * d_out"),),
        ),
        Mistake("module-ignores-eval", "Dropout", (("if not self.training:", "if self.p == 0:"),)),
        Mistake("mc-leaves-mode", "monte_carlo_predict", (("module.training = mode", "pass"),)),
    ),
    "batch_norm": (
        Mistake(
            "bn-momentum-flipped",
            "batch_norm_forward",
            (
                (
                    "(1 - momentum) * running_mean + momentum *",
                    "momentum * running_mean + (1 - momentum) *",
                ),
                (
                    "(1 - momentum) * running_var + momentum *",
                    "momentum * running_var + (1 - momentum) *",
                ),
            ),
        ),
        Mistake(
            "bn-eps-outside-root",
            "batch_norm_forward",
            (
                ("np.sqrt(running_var + eps)", "np.sqrt(running_var) + eps"),
                ("np.sqrt(x.var(axis=0) + eps)", "np.sqrt(x.var(axis=0)) + eps"),
            ),
        ),
        Mistake(
            "bn-eval-batch-stats",
            "batch_norm_forward",
            (
                ("np.sqrt(running_var + eps)", "np.sqrt(x.var(axis=0) + eps)"),
                ("(x - running_mean)", "(x - x.mean(axis=0))"),
            ),
        ),
        Mistake(
            "bn-backward-diagonal",
            "batch_norm_backward",
            (("d_x_hat - through_mean - through_variance", "d_x_hat"),),
        ),
        Mistake("bn-backward-no-var", "batch_norm_backward", ((" - through_variance", ""),)),
        Mistake(
            "bn2d-no-transpose",
            "batch_norm_2d_forward",
            (
                ("x.transpose(0, 2, 3, 1).reshape(-1, C)", "x.reshape(-1, C)"),
                ("out.reshape(N, H, W, C).transpose(0, 3, 1, 2)", "out.reshape(N, C, H, W)"),
            ),
        ),
    ),
    "norms": (
        Mistake(
            "ln-batch-axis",
            "layer_norm_forward",
            (
                ("x.mean(axis=-1", "x.mean(axis=0"),
                ("x.var(axis=-1", "x.var(axis=0"),
            ),
        ),
        Mistake(
            "ln-backward-gamma-outside",
            "layer_norm_backward",
            (
                ("d_x_hat = gamma * d_out", "d_x_hat = 1.0 * d_out"),
                ("(d_x_hat - through_mean", "gamma * (d_x_hat - through_mean"),
            ),
        ),
        Mistake(
            "ln-backward-gamma-first-axis",
            "layer_norm_backward",
            (("tuple(range(d_out.ndim - 1))", "0"),),
        ),
        Mistake("rms-sum-of-squares", "rms_norm_forward", (("(x**2).mean(", "(x**2).sum("),)),
        Mistake(
            "gn-interleaved",
            "group_norm_forward",
            (
                (
                    "x.reshape(N, groups, -1)",
                    "x.reshape(N, -1, groups, H * W).swapaxes(1, 2).reshape(N, groups, -1)",
                ),
                (
                    ".reshape(x.shape)",
                    ".reshape(N, groups, -1, H * W).swapaxes(1, 2).reshape(x.shape)",
                ),
                ("N, C = x.shape[:2]", "N, C, H, W = x.shape"),
            ),
        ),
        Mistake(
            "rms-no-root",
            "RMSNorm",
            (("torch.sqrt(mean_square + self.eps)", "(mean_square + self.eps)"),),
        ),
    ),
    "capstone": (
        Mistake("dropout-keep-drop-swapped", "two_layer_net", (("< keep_prob", ">= keep_prob"),)),
        Mistake(
            "dropout-backward-no-mask",
            "two_layer_net",
            (("(d_scores @ W2.T) * mask", "d_scores @ W2.T"),),
        ),
        Mistake(
            "bn-momentum-flipped",
            "two_layer_net",
            (
                ('0.9 * running["mean"] + 0.1 *', '0.1 * running["mean"] + 0.9 *'),
                ('0.9 * running["var"] + 0.1 *', '0.1 * running["var"] + 0.9 *'),
            ),
        ),
        Mistake(
            "relu-backward-no-mask", "two_layer_net", (("d_hidden * (normalized > 0)", "d_hidden"),)
        ),
        Mistake(
            "bn-eval-batch-stats",
            "predict",
            (('running["mean"]', "z.mean(axis=0)"), ('running["var"]', "z.var(axis=0)")),
        ),
        Mistake(
            "train-decays-twice",
            "train",
            (("lr * grads[name]", "lr * (grads[name] + weight_decay * params[name])"),),
        ),
    ),
    "impostors": (
        Mistake(
            "probe-weight-decay-one", "probe_l2", (('"weight_decay": 1.7', '"weight_decay": 1.0'),)
        ),
        Mistake("probe-eps-tiny", "probe_adam", (('"eps": 0.3', '"eps": 1e-8'),)),
        Mistake("probe-no-decay", "probe_adam", (('"weight_decay": 0.8', '"weight_decay": 0.0'),)),
        Mistake(
            "probe-keep-prob-half", "probe_dropout", (('"keep_prob": 0.3', '"keep_prob": 0.5'),)
        ),
        Mistake("probe-training-only", "probe_dropout", ((', {**call, "training": False}', ""),)),
        Mistake("probe-gamma-one", "probe_batch_norm", (("np.array([1.5, -0.6])", "np.ones(2)"),)),
    ),
}
"""The mistakes of each assignment; "mistake 1" makes the first, and so on."""

STUDENTS = {
    "ada": "complete",
    "bruno": "untouched",
    "chen": "half done",
    "dalia": "mistake 1",
    "emil": "mistake 2",
    "fatou": "mistake 3",
    "goran": "mistake 4",
    "hana": "mistake 5",
    "ivan": "mistake 6",
    "jun": "raises",
    "kofi": "hangs",
    "lena": "broken",
}
"""The students and what they hand in."""


def submission(source: NotebookNode, assignment: str, kind: str) -> str | NotebookNode:
    """Return the submission of one kind of student.

    Parameters
    ----------
    source
        The result of `exercise.source_notebook`.
    assignment
        The name of the assignment.
    kind
        One of the values of `STUDENTS`.

    Raises
    ------
    ValueError
        When a solution does not contain a text to replace.
    """
    solution = exercise.solution_notebook(source)
    release = exercise.student_notebook(source)
    answers = [cell for cell in solution.cells if cells.is_answer(cell)]
    stubs = [cell for cell in release.cells if cells.is_answer(cell)]
    if kind == "broken":
        return _BROKEN
    if kind == "untouched":
        return release
    if kind == "half done":
        for answer, stub in list(zip(answers, stubs, strict=True))[len(answers) // 2 :]:
            answer.source = stub.source
    elif kind == "raises":
        answers[0].source = _replaced(stubs[0].source, _STUB, "return [][0]")
    elif kind == "hangs":
        answers[-1].source = _replaced(stubs[-1].source, _STUB, "while True: pass")
    elif kind.startswith("mistake"):
        number = int(kind.split()[1])
        for mistake in MISTAKES.get(assignment, ())[number - 1 : number]:
            [answer] = [cell for cell in answers if cell.id == mistake.task]
            for old, new in mistake.replacements:
                answer.source = _replaced(answer.source, old, new)
    return solution


def _replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(f"autograder/demo.py would replace {old!r}, which is not in:\n{text}")
    return text.replace(old, new)


def make(
    folder: Path, config_file: Path, sources: Sequence[Path], sandbox: str | None = None
) -> Course:
    """Write the course of the sample class, except files that are up to date.

    Parameters
    ----------
    folder
        The folder to write, "demo".
    config_file
        The `nbgrader_config.py` that it extends.
    sources
        The sources of the exercises.
    sandbox
        See `Course`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(
        folder / CONFIG,
        '"""The sample class: the project\'s settings, another folder, shorter limits."""\n\n'
        "from pathlib import Path\n\n"
        "here = Path(__file__).resolve().parent\n"
        f"load_subconfig({os.path.relpath(config_file, folder)!r}, path=str(here))\n"
        "c = get_config()\n"
        "c.CourseDirectory.root = str(here)\n"
        "c.GradeSubmission.cell_seconds = 5\n",
    )
    course = Course(folder.resolve() / CONFIG, sandbox)
    for path in sources:
        release(course, path)
        source = exercise.source_notebook(path)
        for student, kind in STUDENTS.items():
            target = course.folder("submitted", student, path.stem) / f"{path.stem}.ipynb"
            content = submission(source, path.stem, kind)
            if isinstance(content, str):
                _write(target, content)
            else:
                exercise.write(content, target)
    return course


def _write(path: Path, text: str) -> None:
    """Write a file unless it is up to date."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def table(course: Course, names: Sequence[str]) -> Table:
    """Return a table of each student's points."""
    found = {name: scores(course, name) for name in names}
    columns = [Column(f"{name}\nof {_possible(found[name])}", justify="right") for name in names]
    result = Table("student", "handed in", *columns, box=None)
    for student, kind in STUDENTS.items():
        result.add_row(student, kind, *(_points(found[name].get(student)) for name in names))
    return result


def _possible(found: Mapping[str, Score]) -> str:
    return next((f"{one.max_points:g}" for one in found.values()), "0")


def _points(score: Score | None) -> str:
    return "none" if score is None else f"{score.net:g}"


def sandbox_or_none() -> str | None:
    """Return "none", with a loud warning, if no sandbox can be built; this class is harmless."""
    try:
        with Sandbox() as sandbox:
            sandbox.check()
    except SandboxUnavailableError as error:
        cli.errors.print(f"{error}\n", markup=False)
        cli.errors.print(
            "The sample class, and only it, is graded WITHOUT A SANDBOX now.", style="bold red"
        )
        return "none"
    return None


def main() -> int:
    """Make the sample class in `demo/`, grade it and show its grades."""
    console = cli.console
    cli.ignore_third_party_warnings()
    try:
        root = Course.nearest(Path.cwd()).config_file.parent
        if root.name == "demo" and (root.parent / CONFIG).exists():
            root = root.parent
        sources = [root / "exercises" / name / f"{name}.py" for name in assignments]
        console.print(
            f"Making a sample class of {len(STUDENTS)} students in demo/, with {len(sources)} "
            "assignments each.\nGrading it takes about a minute the first time; what has not "
            "changed is not graded again.",
            markup=False,
        )
        course = make(root / "demo", root / CONFIG, sources, sandbox_or_none())
        names = [path.stem for path in sources]
        summary = cli.grade(course, names, jobs=os.cpu_count() or 1)
    except CourseError as error:
        print(f"autograder: {error}", file=sys.stderr)
        return 2
    console.print(table(course, names))
    for name, path in (("Gradebook", "gradebook.db"), ("Feedback", "feedback")):
        console.print(f"{name:<10}{(course.root / path).relative_to(root)}", markup=False)
    console.print("Ask why:  cd demo && autograder explain dalia l2", markup=False)
    unexpected = [one for one in summary.failed if STUDENTS.get(one.student) != "broken"]
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
