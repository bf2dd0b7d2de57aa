"""nbgrader's settings; `nbgrader`, formgrader and `autograder` read them where they are started.

https://nbgrader.readthedocs.io/en/stable/configuration/config_options.html lists every option.
"""

# ruff: noqa: F821  # nbgrader defines get_config before it runs this file

from pathlib import Path

from autograder.course.scores import show_net_scores
from autograder.tasks import assignments

c = get_config()

# Formgrader's lists show the score that counts, after what lateness costs.
show_net_scores()

# Sources, submissions, grades and feedback: the instructor's own, never committed.
c.CourseDirectory.root = str(Path(__file__).resolve().parent / "course")

# Submissions are read as notebooks of ours with the student's answers in them; other files that
# lie beside a submission are not looked at, since they could be links to anywhere.
c.Autograde.exporter_class = "autograder.course.plugins.SubmissionExporter"
c.CourseDirectory.ignore = ["*"]

# What student code may use; `autograder/course/plugins.py` lists the settings.
c.GradeSubmission.cell_seconds = 30

# nbgrader's own list with the ends replaced: the first runs the code in a sandbox and judges what
# comes out of it, the last makes sure that nothing a student wrote is live.
c.Autograde.autograde_preprocessors = [
    "autograder.course.plugins.GradeSubmission",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "autograder.course.sanitize.SanitizeNotebook",
]

# What nbgrader repairs and checks in a submission at first is so by construction: all but the
# answers comes from the release.
c.Autograde.sanitize_preprocessors = []

# Feedback is one file that runs nothing and asks no other host.
c.GenerateFeedback.exporter_class = "autograder.course.feedback.FeedbackExporter"

# Archives that students hand in are a stranger's files as well.
c.ZipCollectApp.extractor_plugin = "autograder.intake.archives.SafeExtractor"
c.ZipCollectApp.collector_plugin = "autograder.intake.archives.SafeNameCollector"

# How `nbgrader zip_collect` reads the names of downloaded files: STUDENT_NAME.ipynb, with
# anything a learning platform puts between the two or behind them (ann_4711_l2-1.ipynb).
c.FileNameCollectorPlugin.named_regexp = (
    r"(?:.*/)?(?P<student_id>[^_/]+)_(?:[^/]*_)?"
    rf"(?P<file_id>{'|'.join(assignments)})(?:-\d+)?\.ipynb$"
)
