"""What was seen of a submission while it ran, and the bytes in which a worker sends it.

The bytes are replies of `autograder.sandbox.pipe`, one after the other.  Nobody has to trust the
worker: they are read by the same rules as what comes out of a sandbox.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode

from autograder.intake.cells import is_check, is_demonstration, task_of
from autograder.judging.fingerprint import probe_cases
from autograder.judging.observed import TaskResult
from autograder.sandbox import pipe
from autograder.sandbox.session import EndedError
from autograder.task import Case, Task
from autograder.tasks import tasks

MAX_SHOWN = 10 * 2**20
"""Characters and bytes of pictures that the cells of a notebook may show in all."""

MAX_NUMBERS = 128 * 2**20
"""Bytes of arrays that its functions may return in all; right answers take a sixth of it."""

_LEFT_OUT = pipe.Output("stdout", "(left out: the notebook shows more than can be kept)\n")
_MAX_REASON = 1000
_NOT_TRIED = {"tried": False}


@dataclass(frozen=True)
class Ended:
    """Why a cell or a task did not finish.

    Attributes
    ----------
    reason
        A sentence for the student.
    by_clock
        Whether it might have finished on a machine that was less busy.
    """

    reason: str
    by_clock: bool = False

    @classmethod
    def of(cls, error: EndedError) -> Ended:
        """Return what an error says."""
        return cls(str(error), error.by_clock)


@dataclass(frozen=True)
class Observation:
    """What was seen of a notebook while it ran.

    Attributes
    ----------
    cells
        What each code cell showed that is neither a check nor a demonstration, by id.
    results
        What the functions of each task returned, by the id of its check.
    probes
        The same for the public cases; only for those of `results` that are wrong.
    """

    cells: dict[str, tuple[pipe.Output, ...] | Ended] = field(default_factory=dict)
    results: dict[str, TaskResult | Ended] = field(default_factory=dict)
    probes: dict[str, TaskResult | Ended] = field(default_factory=dict)

    def ended(self) -> dict[str, Ended]:
        """Return what did not finish, by the id of its cell."""
        return {
            name: seen
            for name, seen in [*self.cells.items(), *self.results.items()]
            if isinstance(seen, Ended)
        }

    @property
    def by_clock(self) -> bool:
        """Whether anything might have finished on a machine that was less busy."""
        return any(ended.by_clock for ended in self.ended().values())

    def to_bytes(self, notebook: NotebookNode) -> bytes:
        """Return the bytes from which `read` makes the same."""
        replies = []
        for cell, task in observed_cells(notebook):
            if task is None:
                replies.append(_reply(self.cells[cell.id], _outputs))
                continue
            replies.append(_reply(self.results[cell.id], pipe.observed_reply))
            probed = self.probes.get(cell.id)
            replies.append(
                pipe.reply(_NOT_TRIED) if probed is None else _reply(probed, pipe.observed_reply)
            )
        return b"".join(replies)


def read(content: bytes, notebook: NotebookNode, draw: Callable[[Task], list[Case]]) -> Observation:
    """Return the observation of a notebook from bytes that anybody may have made.

    Parameters
    ----------
    content
        The bytes.
    notebook
        The rebuilt notebook that is said to have been observed.
    draw
        Returns the cases of a task.

    Raises
    ------
    RefusedError
        When the bytes break a rule.
    """
    stream, seen = io.BytesIO(content), Observation()

    def exactly(count: int) -> bytes:
        found = stream.read(count)
        if len(found) < count:
            raise pipe.RefusedError("It sent something that is not an answer.")
        return found

    def result(task: Task, cases: list[Case]) -> TaskResult | Ended | None:
        header, blobs = pipe.read_reply(exactly)
        if header == {**_NOT_TRIED, "blobs": []}:
            return None
        return _ended(header) or pipe.observations(header, blobs, task, cases)

    for cell, task in observed_cells(notebook):
        if task is None:
            header, blobs = pipe.read_reply(exactly)
            seen.cells[cell.id] = _ended(header) or pipe.cell_outputs(header, blobs)
            continue
        found, probed = result(task, draw(task)), result(task, probe_cases(task))
        if found is None:
            raise pipe.RefusedError("It sent something that is not an answer.")
        seen.results[cell.id] = found
        if probed is not None:
            seen.probes[cell.id] = probed
    if stream.read(1):
        raise pipe.RefusedError("It sent too much data for an answer.")
    return seen


class Room:
    """What may still be kept of a notebook, so that nothing that it returns fills the memory."""

    def __init__(self) -> None:
        self._shown = MAX_SHOWN
        self._numbers = MAX_NUMBERS

    def shown(self, seen: tuple[pipe.Output, ...] | Ended) -> tuple[pipe.Output, ...] | Ended:
        """Return what a cell showed, up to where there is no room any more."""
        if isinstance(seen, Ended):
            return seen
        for number, output in enumerate(seen):
            self._shown -= len(output.text) + len(output.picture)
            if self._shown < 0:
                return (*seen[:number], _LEFT_OUT)
        return seen

    def returned(self, seen: TaskResult | Ended) -> TaskResult | Ended:
        """Return what a task returned, or that there is no room for it."""
        if isinstance(seen, TaskResult):
            arrays = (
                array
                for case in seen.cases
                for some in (case.outputs, case.arguments or {})
                for array in some.values()
            )
            self._numbers -= sum(array.nbytes for array in arrays)
            if self._numbers < 0:
                return Ended("The functions of this notebook return more numbers than can be kept.")
        return seen


def observed_cells(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, Task | None]]:
    """Yield the code cells that grading runs, with the task of those that are checks."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and not is_demonstration(cell):
            name = task_of(cell.metadata.nbgrader.grade_id) if is_check(cell) else None
            yield cell, tasks[name] if name is not None else None


def _ended(header: Any) -> Ended | None:
    if "ended" not in header:
        return None
    reason, by_clock = header["ended"], header.get("by_clock")
    if not isinstance(reason, str) or not isinstance(by_clock, bool):
        raise pipe.RefusedError("It sent something that is not an answer.")
    # JSON can contain a lone surrogate, which cannot be written to a file.
    return Ended(reason[:_MAX_REASON].encode("utf-8", "replace").decode(), by_clock)


def _reply(seen: Any, put: Callable[[Any], bytes]) -> bytes:
    if isinstance(seen, Ended):
        return pipe.reply({"ended": seen.reason, "by_clock": seen.by_clock})
    return put(seen)


def _outputs(outputs: tuple[pipe.Output, ...]) -> bytes:
    headers = [
        {"kind": "picture"}
        if output.kind == "picture"
        else {"kind": output.kind, "text": output.text, "name": output.name}
        for output in outputs
    ]
    pictures = [one.picture for one in outputs if one.kind == "picture"]
    return pipe.reply({"outputs": headers}, pictures)
