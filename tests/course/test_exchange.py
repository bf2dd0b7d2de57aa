"""The exchange of a JupyterHub with nbgrader: a folder that instructor and student share."""

from types import SimpleNamespace

import nbformat
from helpers.courses import answered, autograder, make_course, nbgrader, points
from nbgrader.utils import get_username

from autograder.intake.exercise import write

HUB = """
c.Exchange.root = {root!r}
c.Exchange.cache = {root!r} + "/cache"
"""


def test_from_release_to_feedback(tmp_path, monkeypatch):
    """Only notebooks pass, whatever is in a student's folder, and the page comes back."""
    root = tmp_path / "exchange"
    root.mkdir(mode=0o777)
    root.chmod(0o777)
    hub = HUB.format(root=str(root))
    course = make_course(
        tmp_path / "course", settings=f"{hub}c.CourseDirectory.course_id = 'reg'\n"
    )
    assert autograder(course, monkeypatch, "release")[0] == 0
    (course.folder("release", ".", "l2") / "notes.txt").write_text("for the instructor")
    nbgrader(course, "release_assignment", "l2")

    home = tmp_path / "student"
    home.mkdir()
    student = SimpleNamespace(config_file=home / "nbgrader_config.py")
    student.config_file.write_text(f"c = get_config()\n{hub}")
    assert "reg l2" in nbgrader(student, "list", "--course", "reg")
    nbgrader(student, "fetch_assignment", "l2", "--course", "reg")
    assert [path.name for path in (home / "l2").iterdir()] == ["l2.ipynb"]
    handed_out = nbformat.read(home / "l2" / "l2.ipynb", as_version=4)
    solved = answered(course, l2_penalty_backward="return weights")
    assert [cell.id for cell in handed_out.cells] == [cell.id for cell in solved.cells]
    write(solved, home / "l2" / "l2.ipynb")
    nbgrader(student, "submit", "l2", "--course", "reg")

    (inbound,) = (root / "reg" / "inbound").iterdir()
    (inbound / "other.ipynb").symlink_to(course.config_file)
    (inbound / "data.csv").write_text("1")
    name = get_username()
    assert "other.ipynb is left out" in nbgrader(course, "collect", "l2")
    submitted = course.folder("submitted", name, "l2")
    kept = {"l2.ipynb", "timestamp.txt", "submission_secret.txt"}
    assert {path.name for path in submitted.iterdir()} == kept
    hand_made = course.folder("submitted", "ada", "l2") / "l2.ipynb"
    write(solved, hand_made)
    assert autograder(course, monkeypatch, "grade", "--jobs", "1")[0] == 0
    assert points(course) == {name: 3.0, "ada": 3.0}

    # Nobody can fetch the page of a submission that came in another way.
    said = nbgrader(course, "release_feedback", "l2")
    assert f"student '{name}'" in said
    assert "ada" not in said
    nbgrader(student, "fetch_feedback", "l2", "--course", "reg")
    (page,) = home.glob("l2/feedback/*/l2.html")
    assert "l2_penalty_backward" in page.read_text()
