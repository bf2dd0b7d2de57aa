"""Settings that `nbgrader`, formgrader and `autograder` read from the folder they start in.

https://nbgrader.readthedocs.io/en/stable/configuration/config_options.html lists every option.
"""

# ruff: noqa: F821  # nbgrader defines get_config before it runs this file

from pathlib import Path

from autograder.course import formgrader
from autograder.course.late import read_times_strictly
from autograder.course.scores import show_net_scores

c = get_config()

# Formgrader's lists show scores after late penalties.
show_net_scores()

# A time that could be read in two ways is refused, and dates.toml says what lateness costs.
read_times_strictly()
c.AssignLatePenalties.plugin_class = "autograder.course.late.LateWork"

# Sources, submissions, grades and feedback belong to the instructor and are never committed.
c.CourseDirectory.root = str(Path(__file__).resolve().parent / "course")

# Submissions are rebuilt as our notebooks with the student's answers in them.  Other files beside a
# submission are ignored, because they could be links to anywhere.
c.Autograde.exporter_class = "autograder.course.plugins.SubmissionExporter"
c.CourseDirectory.ignore = ["*"]

# They do not pass through the exchange of a JupyterHub either; notebooks do.
c.ExchangeFactory.release_assignment = "autograder.course.exchange.ReleaseNotebooks"
c.ExchangeFactory.collect = "autograder.course.exchange.CollectNotebooks"
c.ExchangeFactory.release_feedback = "autograder.course.exchange.ReleaseFeedback"

# What student code may use; `autograder/course/plugins.py` lists the settings.
c.GradeSubmission.cell_seconds = 30

# nbgrader's own list with both ends replaced: the first step runs the code in a sandbox and judges
# the results, and the last makes everything that a student wrote inert.
c.Autograde.autograde_preprocessors = [
    "autograder.course.plugins.GradeSubmission",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "autograder.course.sanitize.SanitizeNotebook",
]

# Nothing is left for nbgrader to repair or check, because everything but the answers comes from the
# release.
c.Autograde.sanitize_preprocessors = []

# Feedback is one file that runs no script and loads nothing from other hosts.
c.GenerateFeedback.exporter_class = "autograder.course.feedback.FeedbackExporter"

# So is formgrader's page of a submission, which otherwise waits for a script of another host.
c.HTMLExporter.extra_template_basedirs = formgrader.TEMPLATES
c.HTMLExporter.filters = formgrader.FILTERS

# Points that this grader did not give are not exported.
c.ExportApp.plugin_class = "autograder.course.export.OwnGradesExport"
