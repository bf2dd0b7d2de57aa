"""Show on a terminal how far grading is."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from autograder.course.grading import Graded
from autograder.course.scores import score_text


def problem_of(graded: Graded) -> str:
    """Return a line that says why a submission was not graded."""
    return f"{graded.assignment} of {graded.student}: {graded.problem}"


class Shown:
    """Shows a bar and failures on a terminal, and a line for each submission elsewhere."""

    def __init__(self, console: Console, errors: Console) -> None:
        self._console = console
        self._errors = errors
        self.shown: list[Graded] = []
        self._wrong = 0
        self._bar: Progress | None = None

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def start(self, total: int) -> None:
        """Show how many submissions will be graded."""
        if not self._console.is_terminal or not total:
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("[red]{task.fields[wrong]}"),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("Grading", total=total, wrong="")
        self._bar.start()

    def advance(self, graded: Graded) -> None:
        """Show the result of a submission."""
        if self._bar is None:
            score = score_text(graded.score)
            line = f"{graded.assignment} of {graded.student}: {score} ({graded.seconds:.1f} s)"
            self._console.print(line, markup=False)
            return
        if graded.problem:
            if self._errors.is_terminal:
                self.shown.append(graded)
                self._bar.console.print(problem_of(graded), style="red", markup=False)
            self._wrong += 1
            self._bar.update(self._task, wrong=f"{self._wrong} went wrong")
        self._bar.advance(self._task)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return how many submissions are graded per minute, once that is known."""
        return Text(f"{60 * task.speed:.0f} a minute" if task.speed else "")
