"""The grader, graded; and that a grader with a fault would not pass."""

from dataclasses import replace
from io import StringIO

import pytest
from helpers.courses import ROOT
from rich.console import Console
from typer.testing import CliRunner

from autograder.cli import app
from autograder.tasks import tasks
from autograder.validate import (
    INDISTINGUISHABLE,
    Validation,
    missing_places,
    show,
    unasked,
    unfinished,
    validate,
    validate_all,
)

PENALTY = tasks["l2_penalty"]


def assert_valid(name, seeds):
    found = validate(tasks[name], seeds)
    assert found.failures == []
    assert set(found.named) == {(one.id, one.id) for one in tasks[name].misconceptions}


@pytest.mark.parametrize("name", list(tasks))
def test_every_task_knows_right_from_wrong_and_each_mistake_by_its_name(name):
    """The right answer earns all, the exercise as it is nothing, a mistake its own name."""
    assert_valid(name, range(1))


@pytest.mark.evidence
@pytest.mark.parametrize("name", list(tasks))
def test_so_it_is_on_many_seeds(name):
    """As often as `autograder validate` tries it, and three times more."""
    assert_valid(name, range(1, 20))


def test_every_place_that_findings_point_to_is_in_the_book():
    """A label, its heading, its chapter, and the box of common mistakes exist."""
    assert list(missing_places(ROOT)) == []


def test_what_cannot_be_told_apart_is_declared_with_the_reason():
    """The list of pairs speaks of mistakes that there are."""
    for (name, one, other), reason in INDISTINGUISHABLE.items():
        forward = tasks[name].forward_task
        assert one in {known.id for known in tasks[name].misconceptions}
        assert other in {
            known.id for known in (*tasks[name].misconceptions, *forward.misconceptions)
        }
        assert len(reason.split()) > 5


def failures(**changed):
    return " ".join(validate(replace(PENALTY, **changed), [0]).failures)


def test_a_right_answer_that_fails_is_found():
    """A task whose reference is not what programs compute fails the right answer."""
    simulate = lambda inputs, rng, **steps: {}  # noqa: E731
    assert "a right answer earns 0" in failures(simulate=simulate)


def test_two_mistakes_alike_are_found():
    """A mistake declared twice is told apart by no case and named as neither."""
    first = PENALTY.misconceptions[0]
    twin = replace(first, id="twin")
    found = failures(misconceptions=(*PENALTY.misconceptions, twin))
    assert f"no case tells {first.id} from twin" in found
    assert "twin is named nothing" in found


def test_a_mistake_that_costs_nothing_is_found():
    """A declared mistake that gives the right numbers is none."""
    harmless = replace(PENALTY.misconceptions[0], id="harmless", replaces={})
    found = failures(misconceptions=(harmless,))
    assert "harmless costs nothing" in found
    assert "harmless is named nothing" in found


def test_points_for_an_untouched_exercise_are_found():
    """A task that looks at something else than the student's code gives points for nothing."""

    def run(student, inputs):
        return PENALTY.reference(inputs)

    assert "the exercise as it is earns 3" in failures(run=run)


def test_a_place_that_the_book_does_not_have_is_found(tmp_path):
    """Without the chapters every place is missing."""
    assert any("l2-penalty" in problem for problem in missing_places(tmp_path))
    assert any("no common mistakes of train" in problem for problem in missing_places(tmp_path))


def test_a_task_that_no_exercise_asks_for_is_found(tmp_path):
    """So is an exercise that cannot be read; those of the course ask for all tasks."""
    some = [PENALTY, tasks["sgd_step"]]
    assert list(unasked(ROOT, list(tasks.values()))) == []
    exercise = tmp_path / "exercises" / "l2" / "l2.py"
    exercise.parent.mkdir(parents=True)
    answer = "# %%\ndef l2_penalty():\n    ### BEGIN SOLUTION\n    ### END SOLUTION\n"
    exercise.write_text(f"{answer}\n# %%\ncheck(l2_penalty)\n")
    [missing] = unasked(tmp_path, some)
    assert missing.startswith("sgd_step: no exercise asks for it")
    exercise.write_text(answer)
    assert any("l2_penalty has no cell check" in problem for problem in unasked(tmp_path, some))


def test_what_is_still_a_placeholder_is_found(tmp_path):
    """With its file and line; the course has none, and other notes are nobody's business."""
    assert list(unfinished(ROOT)) == []
    folder = tmp_path / "autograder" / "tasks" / "l2"
    folder.mkdir(parents=True)
    (folder / "penalty.py").write_text("# TODO tidy up\n\n# TODO the cases: draw some.\n")
    assert list(unfinished(tmp_path)) == [
        (
            "penalty",
            "the cases are still the placeholder (autograder/tasks/l2/penalty.py, line 3): "
            "draw some.",
        )
    ]


def test_a_declaration_that_raises_is_one_line(monkeypatch):
    """The line says what was raised and where; the other tasks are validated."""
    from autograder import validate as module

    monkeypatch.setattr(module, "tasks", {"l2_penalty": replace(PENALTY, reference=unready)})
    found = module._validate_by_name("l2_penalty", 1)
    [failure] = found.failures
    assert failure.startswith("it cannot be tried: KeyError: 'x' (test_validate.py, line ")


def unready(inputs, **steps):
    return inputs["x"]


def test_tasks_can_be_validated_alone():
    """Only those named are tried, and only what concerns them is shown."""
    found = validate_all(1, ["l2_penalty"])
    assert [one.task for one in found] == ["l2_penalty"]
    well, text = shown(*found)
    assert well
    assert "train" not in text
    result = CliRunner().invoke(app, ["validate", "l3"])
    assert result.exit_code == 2
    assert "No task 'l3'" in result.output


def shown(*validations):
    """Return whether all is well and what is printed."""
    console = Console(file=StringIO(), width=200)
    return show(validations, console), console.file.getvalue()


def test_the_table_counts_the_diagonal_and_prints_what_is_off_it():
    """A task whose mistakes keep their names passes; one that is confused fails the command."""
    well, text = shown(validate(PENALTY, [0]))
    count = len(PENALTY.misconceptions)
    assert well
    assert f"{count} of {count}" in text
    assert f"1 task, {count} mistakes, 1 seed, 0 failures" in text
    twin = replace(PENALTY.misconceptions[0], id="twin")
    well, text = shown(
        validate(replace(PENALTY, misconceptions=(twin, replace(twin, id="b"))), [0])
    )
    assert not well
    assert "l2_penalty: twin named nothing, 1 times" in text
    assert "no case tells twin from b" in text


def test_the_command_fails_when_the_grader_does(monkeypatch):
    """Exit status 0 when all is well and 1 when not, as for the other commands."""
    for failures, status in (([], 0), (["seed 0: a right answer earns 0."], 1)):
        found = [Validation("l2_penalty", 0, 1, failures=failures)]
        monkeypatch.setattr("autograder.validate.validate_all", lambda *_, found=found: found)
        assert CliRunner().invoke(app, ["validate"]).exit_code == status
