"""A bundle for Gradescope, unpacked as there, and what can be handed in and graded."""

import json

from helpers import read_back
from helpers.container import unpack
from helpers.courses import answered, released_course

from autograder.intake.exercise import write
from autograder.platforms import run_gradescope
from autograder.platforms.bundle import bundle

WRONG = "return weight_decay * sum(float((w**2).sum()) for w in weights)"
MOST = 6


class Place:
    """A course, its bundle for Gradescope, unpacked, and what can be graded there."""

    def __init__(self, folder):
        # Nothing here takes long, but the machine may be busy.
        slow = "c.GradeSubmission.cell_seconds = 30\n"
        self.course = released_course(folder / "course", slow)
        self.root = folder / "autograder"
        unpack(bundle(self.course, "gradescope", "l2"), self.root)

    @property
    def submission(self):
        return self.root / "submission"

    @property
    def target(self):
        return self.root / "results" / "results.json"

    @property
    def settings(self):
        return json.loads((self.root / "source" / "course" / "settings.json").read_text())

    def change_settings(self, **changes):
        """Change what the course says of the assignment."""
        changed = json.dumps({**self.settings, **changes})
        (self.root / "source" / "course" / "settings.json").write_text(changed)

    def answered(self, **answers):
        return answered(self.course, **answers)

    def hand_in(self, notebook, name="my answers (2).ipynb"):
        """Let the student hand in a notebook, or a text."""
        self.submission.joinpath(name).parent.mkdir(exist_ok=True)
        if isinstance(notebook, str):
            (self.submission / name).write_text(notebook)
        else:
            write(notebook, self.submission / name)

    def graded(self, *notebook):
        """Grade in this process; return the results and the tests."""
        for one in notebook:
            self.hand_in(one)
        run_gradescope.main(self.root)
        return read_back.gradescope_results(self.target.read_bytes())
