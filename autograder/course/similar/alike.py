"""Find students whose code is alike beyond what was handed out and what much of the class writes.

Code is reduced to tokens that renaming, comments and spacing do not change, and compared by the
sets of its runs of tokens, so moved lines still agree.  A run weighs the more the fewer students
have it: what all write weighs next to nothing.  No text is too broken to be read, and the time is
linear in its length.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb, fsum, log2

RUN = 8
"""How many tokens one after the other are compared as one."""

ENOUGH = 8.0
"""Bits that a pair has to share beyond those that the luckiest of all pairs shares by chance."""

MAX_TOKENS = 2_000
"""Tokens of an answer that are compared; honest answers have a fifth of that."""

_TOKEN = re.compile(
    r"#[^\n]*+|\s++|\\\n"
    r'|[A-Za-z]{0,2}+(?:"""(?:[^\\]|\\.|\\\Z)*?(?:"""|\Z)|'
    r"'''(?:[^\\]|\\.|\\\Z)*?(?:'''|\Z))"
    r'|(?P<token>"(?:[^"\\\n]|\\.)*+"?|'
    r"'(?:[^'\\\n]|\\.)*+'?|\.?\d[\w.]*+|\w++|.)",
    re.DOTALL,
)
_KEPT = {*keyword.kwlist, *dir(builtins)}


class Code:
    """The code of an answer, with the runs of its tokens.

    Parameters
    ----------
    source
        The code, which need not be Python.
    known
        Names that everybody was given.  All others count as one name, because they are easily
        changed.
    """

    def __init__(self, source: str, known: Collection[str] = ()) -> None:
        self.source = source
        tokens: list[str] = []
        self._lines: list[int] = []
        line, last = 0, 0
        for found in _TOKEN.finditer(source):
            token = found["token"]
            if token is None:
                continue
            line += source.count("\n", last, found.start())
            last = found.start()
            attribute = tokens[-1:] == ["."]
            if token.isidentifier() and not (attribute or token in _KEPT or token in known):
                token = "name"
            tokens.append(token)
            self._lines.append(line)
            if len(tokens) == MAX_TOKENS:
                break
        self._runs = [hash(tuple(tokens[i : i + RUN])) for i in range(len(tokens) - RUN + 1)]
        self.runs = frozenset(self._runs)

    def lines_with(self, runs: Collection[int]) -> set[int]:
        """Return the numbers, from 0, of the lines that are mostly in these runs."""
        starts = (i for i, run in enumerate(self._runs) if run in runs)
        inside = {i + offset for i in starts for offset in range(RUN)}
        tokens, covered = Counter(self._lines), Counter(self._lines[i] for i in inside)
        return {line for line, count in covered.items() if 2 * count > tokens[line]}


@dataclass(frozen=True)
class Likeness:
    """How much two answers to a task are alike.

    Attributes
    ----------
    task
        The task.
    share
        The share of the answer that has less of its own, by weight.
    rare
        The runs that both have and most of the class has not.
    """

    task: str
    share: float
    rare: frozenset[int]


@dataclass(frozen=True)
class Pair:
    """Two students whose code is alike, with the tasks in which it is; `share` is over all."""

    students: tuple[str, str]
    share: float
    tasks: tuple[Likeness, ...]


def pairs(
    answers: Mapping[str, Mapping[str, Code]], handed_out: Iterable[Code], least: float
) -> list[Pair]:
    """Return the pairs of students whose code is alike, most alike first.

    Parameters
    ----------
    answers
        The answers by student and task.
    handed_out
        What everybody was given.
    least
        The least share, by weight, of the code of the one who has less.
    """
    given = frozenset[int]().union(*(code.runs for code in handed_out))
    runs = {
        student: frozenset((task, run) for task, code in some.items() for run in code.runs - given)
        for student, some in answers.items()
    }
    having = Counter(run for some in runs.values() for run in some)
    # Neighboring runs have all but one token in common, so that RUN of them are one surprise.
    weights = {run: log2((len(runs) + 1) / count) / RUN for run, count in having.items()}

    def weight(some: Iterable[tuple[str, int]]) -> float:
        # In whichever order a set comes, equal sets weigh the same.
        return fsum(map(weights.__getitem__, some))

    def share(one: Collection[tuple[str, int]], other: Collection[tuple[str, int]]) -> float:
        less = min(weight(one), weight(other))
        return weight(frozenset(one) & frozenset(other)) / less if less else 0.0

    sizes = {student: weight(some) for student, some in runs.items()}
    enough = ENOUGH + log2(max(1, comb(len(runs), 2)))
    found = []
    for one, other in combinations(sorted(runs), 2):
        shared = runs[one] & runs[other]
        amount, less = weight(shared), min(sizes[one], sizes[other])
        if amount < enough or amount < least * less:
            continue
        alike = []
        for task in answers[one].keys() & answers[other].keys():
            here, there = ({r for r in runs[s] if r[0] == task} for s in (one, other))
            if (part := share(here, there)) >= least:
                few = max(2, len(runs) / 2)
                rare = frozenset(run for _, run in here & there if having[task, run] <= few)
                alike.append(Likeness(task, part, rare))
        alike.sort(key=lambda likeness: list(answers[one]).index(likeness.task))
        found.append(Pair((one, other), amount / less, tuple(alike)))
    return sorted(found, key=lambda pair: (-pair.share, pair.students))
