"""The same attacks on nbgrader as it comes: tests that assert, run beside the student's code."""

from pathlib import Path

import nbformat
from attacks.attack import SOURCES, Attack
from attacks.canaries import Canaries
from attacks.graded import hand_in
from nbgrader.api import MissingEntry

from autograder.course.course import CONFIG, Course
from autograder.intake import exercise

CHECKS = {
    "check-l2_penalty": """
weights = [np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -1.0])]
assert abs(l2_penalty(weights, 0.1) - 1.5625) < 1e-9
""",
    "check-l2_penalty_backward": """
weights = [np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -1.0])]
gradients = l2_penalty_backward(weights, 0.1)
for gradient, weight in zip(gradients, weights):
    assert np.all(np.abs(gradient - 0.1 * weight) < 1e-9)
""",
}
"""What an instructor would write who knows nbgrader's manual."""

SETTINGS = """
c = get_config()
c.CourseDirectory.root = {root!r}
c.Execute.timeout = 20
c.Execute.iopub_timeout = 20
"""


def stock_course(canaries: Canaries) -> Course:
    """Return a released course whose settings are nbgrader's own."""
    config_file, path = canaries.folder / CONFIG, canaries.folder / "exercises/l2/l2.py"
    config_file.write_text(SETTINGS.format(root=str(canaries.folder / "course")))
    path.parent.mkdir(parents=True)
    path.write_text(SOURCES["l2"].replace("SOLUTION_CANARY", canaries.secrets["source"]))
    source = exercise.source_notebook(path)
    _with_asserts(source)
    course = Course(config_file)
    exercise.write(source, course.folder("source", ".", "l2") / "l2.ipynb")
    done = course.api.generate_assignment("l2", force=True)
    assert done["success"], done
    return course


def stock_score(course: Course, attack: Attack, canaries: Canaries) -> float | None:
    """Grade one attack with stock nbgrader; None when it ends without a grade."""
    source = nbformat.read(course.folder("source", ".", "l2") / "l2.ipynb", as_version=4)
    for cell in source.cells:
        cell.source = cell.source.replace(canaries.secrets["source"], "solved")
    handed = attack.build(exercise.student_notebook(source), exercise.solution_notebook(source))
    hand_in(handed, course.folder("submitted", attack.name, "l2") / "l2.ipynb", canaries)
    if not course.api.autograde("l2", attack.name, force=True)["success"]:
        return None
    with course.api.gradebook as gradebook:
        try:
            return float(gradebook.find_submission("l2", attack.name).score)
        except MissingEntry:
            return None


def told(course: Course, attack: Attack, canaries: Canaries) -> list[str]:
    """Return the secrets that the graded notebook tells."""
    return sorted(set(canaries.told(Path(course.folder("autograded", attack.name, "l2")))))


def _with_asserts(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.id in CHECKS:
            cell.source = CHECKS[cell.id].strip()
