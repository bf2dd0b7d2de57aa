"""A class of 25 with awkward names, and what each platform gives an instructor of it."""

import csv
import io
import re
import tarfile
import zipfile
from dataclasses import dataclass

import nbformat
import yaml

NAMES = [
    "Ada Lovelace",
    "Wei Wang",
    "Wei Wang",
    "王伟",
    "Jörg Müller",
    "Jorg Muller",
    "ada lovelace",
    "José García",
    "Jose\u0301 Garci\u0301a",
    "under_score_name",
    "_lead_ing",
    "\u202eevil\u202c Rtl",
    "\u200fשרה כהן",
    "X" * 300,
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "Máire O'Brien",
    "Karl-Heinz Müller-Lüdenscheidt",
    "Anne_Marie_7",
    "  Spacey   Name ",
    "@SUM(A1)",
    "+1 plus",
    "Ünal Çelik",
    "Δημήτρης Παπαδόπουλος",
    "-Zoë\u200bNull",
]

FILES = [
    "l2.ipynb",
    "L2.ipynb",
    "l2 (1).ipynb",
    "Copy of l2.ipynb",
    "solution.ipynb",
    "my work.zip",
    "l2.tar.gz",
    "l2-2.ipynb",
    "lösung.ipynb",
]
"""What students call their notebook."""

TITLE = "Homework 1: L2 (4711)"


@dataclass(frozen=True)
class Student:
    """A student of the sample class.

    `number` counts from 0; every id of a platform follows from it.
    """

    number: int
    name: str

    @property
    def canvas(self):
        return str(4700 + self.number)

    @property
    def moodle(self):
        return str(90_001 + 7 * self.number)

    @property
    def login(self):
        return f"user-{self.number}"

    @property
    def email(self):
        return f"user{self.number}@example.edu"

    @property
    def sid(self):
        return f"00{self.number:03}"

    @property
    def file(self):
        return FILES[self.number % len(FILES)]


CLASS = [Student(number, name) for number, name in enumerate(NAMES)]


def notebook_of(student, base, attempt=1):
    """Return a student's notebook, which says whose it is and which attempt.

    `base` is a notebook, or a function that returns one for a student.
    """
    notebook = nbformat.from_dict(base(student) if callable(base) else base)
    notebook.cells.append(
        nbformat.v4.new_markdown_cell(f"by {student.number}, attempt {attempt}", id="whose")
    )
    return nbformat.writes(notebook).encode()


def whose(content):
    """Return the number of the student who wrote a notebook, and the attempt."""
    number, attempt = re.search(rb"by (\d+), attempt (\d+)", content).groups()
    return int(number), int(attempt)


def packed(student, content):
    """Return the content of the file that a student hands in: a notebook or an archive of it."""
    if student.file.endswith(".zip"):
        junk = {
            "__MACOSX/mine/._l2.ipynb": b"junk",
            "mine/.ipynb_checkpoints/l2.ipynb": b"old",
        }
        return zipped({"mine/final.ipynb": content, "mine/data.csv": b"1,2", **junk})
    if student.file.endswith(".tar.gz"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            header = tarfile.TarInfo("l2.ipynb")
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
        return out.getvalue()
    return content


def zipped(files, time=(2026, 11, 1, 12, 0, 0)):
    """Return a zip file of names and contents, or of names and pairs of content and time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            when = time
            if isinstance(content, tuple):
                content, when = content
            archive.writestr(zipfile.ZipInfo(name, when), content)
    return out.getvalue()


def hand_ins(base, students=CLASS, attempt=1):
    """Yield each student with the file that he or she hands in."""
    for student in students:
        yield student, packed(student, notebook_of(student, base, attempt))


def canvas(base, students=CLASS, late=(), attempt=1):
    """Return `submissions.zip`."""
    found = {}
    for student, content in hand_ins(base, students, attempt):
        name = re.sub(r"\W", "", student.name.lower())
        mark = "_LATE" if student.number in late else ""
        number = 50_000 + 100 * attempt + student.number
        found[f"{name}{mark}_{student.canvas}_{number}_{student.file}"] = content
    return zipped(found)


def moodle_name(student):
    """Return a name as Moodle cleans it."""
    return re.sub(r'[\\/:*?"<>|]', "", student.name.replace("_", " ")).strip()


def moodle(base, students=CLASS, shape="{name}_{id}_assignsubmission_file/{file}", attempt=1):
    """Return the archive of all submissions, in one of `MOODLE_SHAPES`."""
    when = (2026, 11, attempt, 12, 0, 0)
    return zipped(
        {
            shape.format(name=moodle_name(s), id=s.moodle, file=s.file): (content, when)
            for s, content in hand_ins(base, students, attempt)
        }
    )


MOODLE_SHAPES = {
    "folders": "{name}_{id}_assignsubmission_file/{file}",
    "old folders": "{name}_{id}_assignsubmission_file_/{file}",
    "flat": "{name}_{id}_assignsubmission_file_{file}",
    "blind": "Participant_{id}_assignsubmission_file/{file}",
    "blind, in German, flat": "Teilnehmerin_{id}_assignsubmission_file_{file}",
}


def gradescope(base, students=CLASS, attempt=1):
    """Return an export, whose numbers are not in the order of the class."""
    root, metadata, found = "assignment_77_export", {}, {}
    for student, content in hand_ins(base, students, attempt):
        folder = f"submission_{9000 - student.number}"
        metadata[folder] = {
            ":submitters": [{":name": student.name, ":sid": student.sid, ":email": student.email}],
            ":created_at": f"2026-11-0{attempt} 12:00:{student.number:02}.5 -05:00",
        }
        found[f"{root}/{folder}/{student.file}"] = content
    text = yaml.safe_dump(metadata, allow_unicode=True, width=10**6)
    return zipped({f"{root}/submission_metadata.yml": text.encode(), **found})


def classroom50(base, students=CLASS, attempt=1):
    """Return repositories, each with the notebook somewhere in it."""
    found = {}
    for student, content in hand_ins(base, students, attempt):
        root = f"l2-submissions/l2-{student.login}"
        found[f"{root}/.github/workflows/classroom.yml"] = b"on: push"
        found[f"{root}/README.md"] = b"# Hello"
        found[f"{root}/exercises/l2/{student.file}"] = content
    return zipped(found)


def folder(base, students=CLASS, shape="{login}/{file}", attempt=1):
    """Return an archive of a plain folder."""
    when = (2026, 11, attempt, 12, 0, 0)
    return zipped(
        {
            shape.format(login=s.login, name=moodle_name(s), file=s.file): (content, when)
            for s, content in hand_ins(base, students, attempt)
        }
    )


FOLDER_SHAPES = {
    "folders": "{login}/{file}",
    "wrapped": "submissions/{login}/{file}",
    "nbgrader": "submitted/{login}/l2/{file}",
    "swapped": "l2/{login}/{file}",
}


def google(base, students=CLASS):
    """Return a folder of Google Classroom: names of people and nothing else, numbered if twice."""
    found = {}
    for student, content in hand_ins(base, students):
        kind = student.file.rpartition(".")[2]
        suffix = "tar.gz" if kind == "gz" else kind
        name, number = f"{moodle_name(student)} - l2.{suffix}", 0
        while name in found:
            number += 1
            name = f"{moodle_name(student)} - l2 ({number}).{suffix}"
        found[name] = content
    return zipped(found)


def table(header, rows, delimiter=",", encoding="utf-8", end="\r\n"):
    """Return a CSV file."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode(encoding)


def roster(students=CLASS, delimiter=",", encoding="utf-8", errors="strict"):
    """Return a list of the class from nowhere in particular."""
    rows = [[s.login, s.name, s.email, s.sid] for s in students]
    text = table(["Username", "Full name", "E-mail", "SID"], rows, delimiter).decode()
    return text.encode(encoding, errors)


def canvas_gradebook(students=CLASS, delimiter=",", encoding="utf-8-sig", grades=None):
    """Return the gradebook as Canvas exports it."""
    grades = grades or {}
    header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Essay (4710)", TITLE]
    header.append("Final Score")
    points = ["    Points Possible", "", "", "", "", "10.00", "6.00", "(read only)"]
    rows = [
        [s.name, s.canvas, s.sid, s.login, "Section 1", "7.50", grades.get(s.number, ""), "88.1"]
        for s in students
    ]
    test = ["Student, Test", "4699", "", "f00", "Section 1", "", "", ""]
    return table(header, [points, *rows, test], delimiter, encoding)


WORKSHEETS = {
    "English": [
        "Identifier", "Full name", "Email address", "Status", "Group", "Grade", "Maximum Grade",
        "Grade can be changed", "Last modified (submission)", "Last modified (grade)",
        "Feedback comments",
    ],
    "German": [
        "ID", "Vollständiger Name", "E-Mail-Adresse", "Status", "Gruppe", "Bewertung",
        "Bestwertung", "Bewertung kann geändert werden", "Zuletzt geändert (Abgabe)",
        "Zuletzt geändert (Bewertung)", "Feedback als Kommentar",
    ],
}  # fmt: skip


def moodle_worksheet(students=CLASS, language="English", groups=None, most="6.00"):
    """Return the grading worksheet of an assignment."""
    word = {"English": "Participant", "German": "Teilnehmer/in"}[language]
    rows = [
        [
            f"{word} {s.moodle}", s.name, s.email, "Submitted for grading",
            (groups or {}).get(s.number, ""), "", most, "Yes",
            "Sunday, 1 November 2026, 12:00 PM", "-", "",
        ]
        for s in students
    ]  # fmt: skip
    return table(WORKSHEETS[language], rows, end="\n")


def gradescope_grades(students=CLASS):
    """Return the sheet of grades."""
    header = ["Name", "SID", "Email", "L2", "Max Points", "Status"]
    rows = [[s.name, s.sid, s.email, "", "6.0", "Graded"] for s in students]
    return table(header, rows, end="\n")
