"""What a worker saw, as bytes, and what the clock may and may not cost."""

import pytest
from helpers.courses import answered, hand_in, released_course

from autograder.grading import notebook as grading
from autograder.grading import observation
from autograder.grading.observation import read
from autograder.sandbox.pipe import RefusedError
from autograder.sandbox.session import EndedError, Session

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Return a right submission that prints, shows and draws, and has an error."""
    course = released_course(tmp_path_factory.mktemp("course"))
    plot = (
        "print('α\\ud800'); display(3)\nimport matplotlib.pyplot as p; p.plot([1]); p.show(); 1/0"
    )
    notebook = answered(course)
    notebook.cells[1].source += f"\n{plot}"
    hand_in(course, "ann", notebook)
    return course.grader.job("l2", "ann")


@pytest.fixture(scope="module")
def sent(job):
    return job.observe()


def test_bytes_hold_all_that_judging_needs(job, sent):
    """The outcome is that of one process, to the byte."""
    outcome, by_clock = job.judge(sent)
    assert outcome == job.run()
    assert not by_clock
    assert sum(report.points for report in outcome.reports.values()) == 6


def test_what_fills_the_memory_is_not_kept(job, sent, monkeypatch):
    """Neither what cells show nor what functions return, however many they are."""
    monkeypatch.setattr(observation, "MAX_SHOWN", 1000)
    monkeypatch.setattr(observation, "MAX_NUMBERS", 2000)
    less = job.observe()
    assert len(less) < len(sent)
    outcome, by_clock = job.judge(less)
    assert not by_clock
    assert [report.points for report in outcome.reports.values()] == [3, 0]
    assert "numbers than can be kept" in str(list(outcome.reports.values())[1])
    assert "more than can be kept" in str(outcome.cells)


def test_bytes_that_break_a_rule_are_refused(job, sent):
    """Wherever they break off, and whatever follows them."""
    places = {*range(0, len(sent), max(1, len(sent) // 100)), *range(len(sent) - 20, len(sent))}
    for content in [sent[:place] for place in places] + [sent + b"x", b"\xff" * 100, sent[4:]]:
        with pytest.raises(RefusedError):
            job.judge(content)


def test_what_was_seen_of_one_submission_is_worth_nothing_for_another(job, sent):
    """Each is tried on inputs of its own."""
    other = type(job)(**{**vars(job), "key": b"other"})
    try:
        outcome, _ = other.judge(sent)
    except RefusedError:
        return
    assert sum(report.points for report in outcome.reports.values()) < 6


@pytest.fixture
def busy(monkeypatch):
    """Return a function that lets the clock end so many requests before they run."""

    def busy(times):
        left = [times]

        def run(session, source, run=Session.run_cell):
            if left[0] and "def l2_penalty(" in source:
                left[0] -= 1
                session.close()
                raise EndedError("It did not finish within 6 seconds.", by_clock=True)
            return run(session, source)

        monkeypatch.setattr(Session, "run_cell", run)

    return busy


def points_of(outcome):
    return sum(report.points for report in outcome.reports.values())


def test_what_the_clock_ended_is_tried_again(job, busy):
    """A busy machine costs nobody points."""
    busy(1)
    outcome = job.run()
    assert points_of(outcome) == 6
    assert not outcome.stopped


def test_what_the_clock_ends_twice_is_scored_and_said(job, busy):
    """With the other tasks; the outcome says which cell it was."""
    busy(2)
    outcome = job.run()
    assert points_of(outcome) == 3
    assert outcome.stopped == {"l2_penalty": "It did not finish within 6 seconds."}


def test_a_limit_of_processor_time_is_not_tried_again(job, monkeypatch):
    """It is the same on every machine."""
    runs = []

    def run(session, source):
        runs.append(source)
        session.close()
        raise EndedError("It used more than 3 seconds of processor time.")

    monkeypatch.setattr(Session, "run_cell", run)
    job.run()
    assert len(runs) == len(set(runs))


def test_a_worker_says_what_the_clock_ended(job, busy):
    """So that it is tried again where there is room."""
    busy(1)
    assert job.judge(job.observe())[1]


def test_reading_never_needs_the_sandbox(job, sent, monkeypatch):
    """The machine with the gradebook runs no student's code."""
    monkeypatch.setattr(Session, "run_cell", None)
    rebuilt = job.rebuilt().notebook
    seen = read(sent, rebuilt, lambda task: grading.cases_of(task, job.key))
    assert seen.to_bytes(rebuilt) == sent
