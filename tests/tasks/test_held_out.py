"""What is said of wrong programs that no table was made from, and whether it is true."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest
from mutants.held_out import KINDS, Tally, evaluate, held_out
from mutants.trial import PROGRAMS

from autograder import tasks

ASSIGNMENTS = list(dict.fromkeys(tasks[name].assignment.name for name in PROGRAMS))


def test_styles_are_held_out():
    """Each assignment has right answers in styles from which no table is made."""
    for assignment in ASSIGNMENTS:
        assert len({style for style, _ in held_out(assignment)}) >= 5


@pytest.mark.parametrize(
    ("assignment", "style", "name", "every"),
    [
        ("l2", "einsum", "sgd_step", 4),
        ("l2", "einsum", "adam_step", 25),
        ("batch_norm", "einsum", "fold_batch_norm", 10),
    ],
)
def test_what_is_said_of_some_mutants_is_true(assignment, style, name, every):
    """Statements made on one set of inputs hold on another."""
    tally = evaluate(assignment, style, name, every)
    assert sum(tally.counts[kind] for kind in KINDS)
    assert not tally.false, "\n\n".join(tally.false)


@pytest.mark.evidence
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_most_mutants_are_named_and_nothing_false_is_said(assignment):
    """Of all mutants of all held-out styles: the share named, described and left to numbers."""
    jobs = held_out(assignment)
    found: dict[str, Tally] = {}
    with ProcessPoolExecutor(2) as pool:
        tallies = pool.map(partial(_evaluate, assignment), jobs)
        for (_, name), tally in zip(jobs, tallies, strict=True):
            found.setdefault(name, Tally()).add(tally)
    whole = Tally()
    print()
    for name, tally in found.items():
        print(f"{name:24} {_shares(tally)}")
        whole.add(tally)
    print(f"{assignment:24} {_shares(whole)}")
    print("\n\n".join(whole.silent[:20]))
    assert not whole.false, "\n\n".join(whole.false)


def _evaluate(assignment: str, job: tuple[str, str]) -> Tally:
    return evaluate(assignment, *job)


def _shares(tally: Tally) -> str:
    total = sum(tally.counts[kind] for kind in KINDS) or 1
    shares = ", ".join(f"{100 * tally.counts[kind] / total:.1f} % {kind}" for kind in KINDS)
    return f"{total:5} wrong: {shares}; {len(tally.false)} false"
