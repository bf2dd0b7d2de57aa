"""Every notebook of an awkward class, from every platform, ends in the folder of its author."""

import json

import nbformat
import pytest
from platforms import samples
from platforms.samples import CLASS

EVERYBODY = [(student.number, 1) for student in CLASS]


def record_of(collecting, name="submissions.zip"):
    """Return what the course keeps about a download, by student."""
    path = collecting.course.root / "downloads" / f"{name}.json"
    return {e["student"]: e for e in json.loads(path.read_text())["entries"]}


@pytest.mark.parametrize(
    ("make", "own_id"),
    [
        pytest.param(samples.canvas, "canvas", id="canvas"),
        *(
            pytest.param(
                lambda base, shape=shape: samples.moodle(base, shape=shape), "moodle", id=name
            )
            for name, shape in samples.MOODLE_SHAPES.items()
        ),
        pytest.param(samples.gradescope, "email", id="gradescope"),
        pytest.param(samples.classroom50, "login", id="repositories"),
        *(
            pytest.param(
                lambda base, shape=shape: samples.folder(base, shape=shape), "login", id=name
            )
            for name, shape in samples.FOLDER_SHAPES.items()
        ),
    ],
)
def test_all_are_collected_without_a_roster(collecting, make, own_id):
    """25 of 25, whatever they and their files are called; each by the platform's id."""
    found = collecting.collect(make(collecting.base))
    assert collecting.status == 0, collecting.said
    assert sorted(found.values()) == EVERYBODY
    assert collecting.last_line == "25 collected, 0 replaced, 0 unchanged, 0 set aside"
    for student, entry in record_of(collecting).items():
        number, _ = found[student]
        assert entry["key"] == getattr(CLASS[number], own_id)
        assert CLASS[number].file in entry["file"]


@pytest.mark.parametrize(
    ("make", "roster"),
    [
        (samples.canvas, samples.canvas_gradebook()),
        (samples.canvas, samples.canvas_gradebook(delimiter=";", encoding="utf-16")),
        (samples.gradescope, samples.roster()),
        (samples.gradescope, samples.roster(delimiter=";", encoding="utf-16")),
        (samples.classroom50, samples.roster(encoding="utf-8-sig")),
        (samples.folder, samples.roster(encoding="cp1252", errors="replace", delimiter=";")),
    ],
)
def test_a_roster_joins_ids(collecting, make, roster):
    """In any encoding, with commas or semicolons: students are called by their account."""
    found = collecting.collect(make(collecting.base), roster=roster)
    assert found == {student.login: (student.number, 1) for student in CLASS}
    assert collecting.status == 0


@pytest.mark.parametrize("language", ["English", "German"])
@pytest.mark.parametrize("shape", ["folders", "flat", "blind"])
def test_moodles_worksheet_is_a_roster(collecting, language, shape):
    """It joins the number, which is another in each assignment, with the address."""
    content = samples.moodle(collecting.base, shape=samples.MOODLE_SHAPES[shape])
    found = collecting.collect(content, roster=samples.moodle_worksheet(language=language))
    assert found == {student.email: (student.number, 1) for student in CLASS}


def test_who_is_missing_is_listed(collecting):
    """And who is not in the roster; both are no reason to fail."""
    roster = samples.roster([*CLASS[1:5], samples.Student(31, "Zed")])
    collecting.collect(samples.folder(collecting.base, CLASS[:4]), roster=roster)
    assert collecting.status == 0
    assert collecting.last_line.endswith("2 missing")
    assert "missing in l2" in collecting.said
    assert "user-31 (Zed)" in collecting.said
    assert "not in the roster" in collecting.said


def test_a_name_is_enough_only_if_it_is_nobody_elses(collecting):
    """A folder of Google Classroom has no ids; who shares a name is set aside, with the reason."""
    some = [student for student in CLASS if student.number in (0, 1, 3, 7, 12, 22)]
    content = samples.folder(collecting.base, some, shape="{name} - l2.ipynb")
    archives = ("my work.zip", "l2.tar.gz")
    assert not any(student.file in archives for student in some)
    found = collecting.collect(content, roster=samples.roster())
    assert found == {f"user-{number}": (number, 1) for number in (0, 3, 12, 22)}
    assert collecting.status == 1
    assert "it may be of several students in the roster: user-1, user-2" in flat(collecting.said)
    assert "it may be of several students in the roster: user-7, user-8" in flat(collecting.said)


def test_a_whole_class_known_by_names_only(collecting):
    """Nobody gets another's notebook: 19 of 25 are sure, 4 share names, 2 are not in the roster.

    Those two have names with characters that no file may have.
    """
    found = collecting.collect(samples.google(collecting.base), roster=samples.roster())
    sure = {student: by for student, by in found.items() if student.startswith("user-")}
    assert sure == {f"user-{n}": (n, 1) for n in range(25) if n not in (1, 2, 7, 8, 14, 15)}
    assert {by for by, _ in (found[student] for student in found.keys() - sure)} == {14, 15}
    assert sum("may be of several students" in e["why"] for e in every(collecting)) == 3
    assert "not in the roster" in collecting.said
    assert "matched with the roster by name" in collecting.said


def every(collecting):
    """Return all that the course keeps about a download."""
    path = collecting.course.root / "downloads" / "submissions.zip.json"
    return json.loads(path.read_text())["entries"]


def flat(text):
    """Return what a table says without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize("roster", [None, samples.roster(CLASS[:3])])
def test_two_files_of_one_name_may_be_of_two_people(collecting, roster):
    """A number at the end may be a second attempt or a namesake's, so neither is taken."""
    one, two = (samples.notebook_of(student, collecting.base) for student in CLASS[1:3])
    files = {"Wei Wang - l2.ipynb": one, "Wei Wang - l2 (1).ipynb": (two, (2026, 11, 3, 1, 1, 1))}
    assert collecting.collect(samples.zipped(files), roster=roster) == {}
    assert collecting.status == 1
    found = collecting.collect(samples.zipped(files), roster=samples.roster(CLASS[:2]))
    assert found == {"user-1": (2, 1)}


def test_two_of_one_name_are_not_one_student(collecting):
    """If the roster has one of them and no number, neither is guessed."""
    content = samples.moodle(collecting.base, CLASS[:3])
    found = collecting.collect(content, roster=samples.roster(CLASS[:2]))
    assert found == {"user-0": (0, 1)}
    assert collecting.last_line.startswith("1 collected, 0 replaced, 0 unchanged, 2 set aside")


def test_collecting_again_changes_nothing(collecting):
    """Unchanged files are unchanged, and the course keeps one copy of the download."""
    content = samples.canvas(collecting.base)
    before = collecting.collect(content)
    assert collecting.collect(content) == before
    assert collecting.last_line == "0 collected, 0 replaced, 25 unchanged, 0 set aside"
    kept = collecting.course.root / "downloads"
    assert {path.name for path in kept.iterdir()} == {"submissions.zip", "submissions.zip.json"}
    assert (kept / "submissions.zip").read_bytes() == content


@pytest.mark.parametrize(
    "make", [samples.canvas, samples.moodle, samples.gradescope, samples.folder]
)
def test_a_newer_attempt_replaces_an_older_one_and_never_the_reverse(collecting, make):
    """In whatever order the downloads are collected."""
    first, second = make(collecting.base), make(collecting.base, CLASS[:5], attempt=2)
    collecting.collect(second)
    found = collecting.collect(first)
    assert sorted(found.values()) == [(n, 2 if n < 5 else 1) for n in range(25)]
    assert collecting.last_line == "20 collected, 0 replaced, 5 unchanged, 0 set aside"
    found = collecting.collect(make(collecting.base, CLASS[:6], attempt=3))
    assert collecting.last_line == "0 collected, 6 replaced, 0 unchanged, 0 set aside"
    assert collecting.collect(first) == found


def test_repositories_have_no_time_so_what_was_replaced_stays_replaced(collecting):
    """The order of collecting counts; a download that was collected before is older."""
    first, second = (samples.classroom50(collecting.base, attempt=n) for n in (1, 2))
    collecting.collect(first)
    found = collecting.collect(second)
    assert {attempt for _, attempt in found.values()} == {2}
    assert collecting.collect(first) == found


def test_of_several_files_of_a_student_the_newest_counts(collecting):
    """Canvas numbers files; their names say nothing."""
    [(_, old), (_, new)] = [
        next(iter(samples.hand_ins(collecting.base, CLASS[:1], attempt))) for attempt in (1, 2)
    ]
    content = samples.zipped({"lovelace_4700_90_l2-1.ipynb": new, "lovelace_4700_89_l2.ipynb": old})
    assert collecting.collect(content) == {"lovelace-4700": (0, 2)}


def test_if_nothing_says_which_is_newer_none_is_taken(collecting):
    """The reason names both."""
    old, new = (samples.notebook_of(CLASS[0], collecting.base, n) for n in (1, 2))
    assert collecting.collect(samples.zipped({"ada/a.ipynb": old, "ada/b.ipynb": new})) == {}
    assert "a.ipynb, b.ipynb: nothing says which is newer" in flat(collecting.said)


def test_what_was_put_there_by_hand_is_not_overwritten(collecting):
    """The reason says what to do."""
    place = collecting.course.folder("submitted", "user-0", "l2")
    place.mkdir(parents=True)
    by_hand = samples.notebook_of(CLASS[0], collecting.base, attempt=7)
    (place / "l2.ipynb").write_bytes(by_hand)
    found = collecting.collect(samples.folder(collecting.base, CLASS[:2]))
    assert found == {"user-0": (0, 7), "user-1": (1, 1)}
    assert "was put there by hand" in flat(collecting.said)


def test_times_are_written_as_nbgrader_reads_them(collecting):
    """In UTC; a student's replaced notebook gets its new time."""
    collecting.collect(samples.gradescope(collecting.base, CLASS[:3]))
    stamp = collecting.course.folder("submitted", CLASS[2].email, "l2") / "timestamp.txt"
    assert stamp.read_text() == "2026-11-01 17:00:02 UTC"
    collecting.collect(samples.gradescope(collecting.base, CLASS[:3], attempt=2))
    assert stamp.read_text() == "2026-11-02 17:00:02 UTC"


def test_lateness_is_shown_where_only_that_is_known(collecting):
    """Canvas says that something is late and not when it came."""
    collecting.collect(samples.canvas(collecting.base, late=(1, 2)))
    [line] = [line for line in collecting.said.splitlines() if "late, says" in line]
    assert "weiwang-4701, weiwang-4702" in line
    late = {e["key"] for e in record_of(collecting).values() if e["late"]}
    assert late == {"4701", "4702"}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("essay.pdf", b"%PDF", "it is no notebook"),
        ("text.html", b"<p>hello</p>", "it is no notebook"),
        ("l2.zip", b"no archive", "damaged"),
        ("l2.zip", samples.zipped({"notes.txt": b"x"}), "it is no notebook"),
        ("mine.ipynb", nbformat.writes(nbformat.v4.new_notebook()).encode(), "no cells"),
        (
            "mine.ipynb",
            nbformat.writes(
                nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1", id="x")])
            ).encode(),
            "no cell of any assignment",
        ),
        ("l2.ipynb", b"x" * 30_000_001, "more than 30 MB"),
    ],
)
def test_what_cannot_be_collected_is_named_with_the_reason(collecting, name, content, reason):
    """The others are collected; the status says that something was set aside."""
    others = samples.canvas(collecting.base, CLASS[:2])
    bad = samples.zipped({f"eve_4999_1_{name}": content})
    found = collecting.collect(bad, others)
    assert len(found) == 2
    assert collecting.status == 1
    assert "eve_4999_1_" in collecting.said
    assert reason in flat(collecting.said)


def test_a_damaged_notebook_is_handed_in_all_the_same(collecting):
    """Grading tells the student what is wrong with it."""
    damaged = {"eve_4999_51000_l2.ipynb": b'{"cells": ['}
    everything = samples.zipped(
        damaged | {f"s_{s.canvas}_50000_l2.ipynb": c for s, c in hand_ins(collecting, 2)}
    )
    collecting.run("collect", write(collecting, everything))
    assert collecting.status == 0
    assert set(collecting.course.submitted("l2")) == {"eve-4999", "s-4700", "s-4701"}


def hand_ins(collecting, count):
    """Return some students with their files."""
    return list(samples.hand_ins(collecting.base, CLASS[:count]))


def write(collecting, content):
    """Write a download; return its path."""
    path = collecting.folder / "class.zip"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "submissions/ada_l2.ipynb",
        "a/b/c/ada_l2.ipynb",
        "submissions/Copy of ada_l2 (1).ipynb",
        "ada - Copy of L2.ipynb",
        "l2 ada.ipynb",
        "ada/l2.ipynb",
        "ada/l2/l2.ipynb",
        "class/ada/l2/work.ipynb",
        "ada.ipynb",
    ],
)
def test_a_folder_around_everything_is_no_student(collecting, name):
    """Whether there is one, or more, or none."""
    content = samples.zipped({name: samples.notebook_of(CLASS[0], collecting.base)})
    assert collecting.collect(content) == {"ada": (0, 1)}


def test_numbers_in_names_are_told_from_ids(collecting):
    """By the length of the others, by the gradebook, or not at all."""
    content = samples.notebook_of(CLASS[0], collecting.base)
    alone = samples.zipped({"anne_7_4700_50000_l2.ipynb": content})
    assert collecting.collect(alone) == {}
    assert "give --roster" in flat(collecting.said)
    found = collecting.collect(alone, roster=samples.canvas_gradebook())
    assert found == {"user-0": (0, 1)}


def test_files_of_git_and_links_are_left_alone(collecting):
    """A folder on disk is read as an archive of it is."""
    root = collecting.folder / "clones"
    for student, content in hand_ins(collecting, 3):
        repository = root / f"l2-{student.login}"
        (repository / ".git").mkdir(parents=True)
        (repository / ".git" / "HEAD").write_text("ref: refs/heads/main")
        (repository / ".git" / "l2.ipynb").write_text("no answer")
        (repository / student.file).write_bytes(content)
        (repository / "linked.ipynb").symlink_to("/etc/passwd")
    collecting.run("collect", root)
    assert collecting.status == 0, collecting.said
    assert collecting.submitted() == {f"user-{n}": (n, 1) for n in range(3)}
    assert (collecting.course.root / "downloads" / "clones" / "l2-user-0" / "l2.ipynb").exists()


def test_accounts_are_what_repositories_do_not_share(collecting):
    """Whatever the classroom calls the assignment; a roster joins accounts."""
    for number in range(3):
        repository = collecting.folder / "clones" / f"fall-hw-1-some-{number}"
        (repository / ".git").mkdir(parents=True)
        (repository / ".git" / "HEAD").write_text("x")
        content = samples.notebook_of(CLASS[number], collecting.base)
        (repository / "work.ipynb").write_bytes(content if number else b"broken")
        (repository / "l2.ipynb").write_bytes(b"broken, too")
    collecting.run("collect", collecting.folder / "clones", "--in", "l2")
    assert collecting.course.submitted("l2") == ["0", "1", "2"]
    handed_in = collecting.course.folder("submitted", "0", "l2") / "l2.ipynb"
    assert handed_in.read_bytes() == b"broken, too"


def test_a_group_has_one_file_and_each_member_a_copy(collecting):
    """Moodle's worksheet says who is in it."""
    content = samples.notebook_of(CLASS[0], collecting.base)
    download = samples.zipped({"Team A_77_assignsubmission_file/l2.ipynb": content})
    worksheet = samples.moodle_worksheet(CLASS[:3], groups={0: "Team A", 1: "Team A"})
    found = collecting.collect(download, roster=worksheet)
    assert found == {CLASS[0].email: (0, 1), CLASS[1].email: (0, 1)}
    assert collecting.last_line.endswith("1 missing")


def test_all_who_submitted_together_get_a_copy(collecting):
    """Gradescope names all of them; numbers that begin with zeros stay as they are."""
    content = samples.notebook_of(CLASS[3], collecting.base)
    people = "".join(f"  - :name: {n}\n    :sid: {n}\n    :email:\n" for n in ("0012", "0x1F"))
    metadata = f"submission_5:\n  :submitters:\n{people}".encode()
    export = {
        "assignment_1_export/submission_metadata.yml": metadata,
        "assignment_1_export/submission_5/l2.ipynb": content,
    }
    found = collecting.collect(samples.zipped(export))
    assert found == {"0012": (3, 1), "0x1F": (3, 1)}


def test_a_damaged_list_of_submissions_is_no_plain_folder(collecting):
    """Its folders are no students."""
    export = {"x/submission_metadata.yml": b"a: [", "x/submission_5/l2.ipynb": b"{}"}
    assert collecting.collect(samples.zipped(export)) == {}
    assert collecting.status == 2
    assert "submission_metadata.yml cannot be read" in collecting.said


def test_the_notebook_of_another_assignment_is_not_taken(collecting):
    """It would be graded as one without answers."""
    other = {"cells": [{"cell_type": "code", "source": "x", "id": "check-dropout_forward"}]}
    mine = samples.notebook_of(CLASS[0], collecting.base)
    bad = {"eve_4999_51000_l2.ipynb": json.dumps(other).encode()}
    found = collecting.collect(samples.zipped(bad | {"ada_4700_50000_dropout.ipynb": mine}))
    assert found == {"ada-4700": (0, 1)}
    assert "eve_4999_51000_l2.ipynb" in collecting.said


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["nowhere.zip"], "There is no nowhere.zip"),
        (["."], "around the course"),
        (["nbgrader_config.py"], "damaged or in a format"),
        (["exercises", "--in", "l3"], "No assignment 'l3'"),
        (["exercises", "--roster", "nobody.csv"], "nobody.csv cannot be read"),
    ],
)
def test_wrong_usage_is_one_line(collecting, arguments, advice):
    """That says what to do, with status 2."""
    said = collecting.run("collect", *arguments)
    assert collecting.status == 2
    assert advice in said
    assert len(said.strip().splitlines()) == 1


def test_a_lost_release_is_one_line(collecting):
    """That says what to do."""
    (collecting.course.folder("release", ".", "l2") / "l2.ipynb").unlink()
    collecting.collect(samples.canvas(collecting.base, CLASS[:1]))
    assert collecting.status == 2
    assert "run `autograder release l2` again" in collecting.said


def test_strangers_names_do_not_steer_the_terminal(collecting):
    """Nor do they make a table thousands of columns wide."""
    name = "\x9b31m\u202eX" + "y" * 300
    bad = {f"{name.replace(chr(0x9B), '')}_90001_assignsubmission_file/x.pdf": b"x"}
    collecting.collect(samples.zipped(bad))
    assert "\u202e" not in collecting.said
    assert max(map(len, collecting.said.splitlines())) <= 80


def test_students_have_names_in_the_gradebook(collecting):
    """Those of the roster, and without one those of the platform; who is missing is there, too."""
    collecting.collect(samples.canvas(collecting.base), roster=samples.canvas_gradebook())
    with collecting.course.api.gradebook as gradebook:
        found = {one.id: (one.first_name, one.last_name) for one in gradebook.students}
    assert len(found) == len(CLASS)
    assert all(any(names) for names in found.values())
    roster = samples.roster([*CLASS, samples.Student(31, "Zed Zorn")])
    collecting.collect(samples.canvas(collecting.base), roster=roster)
    with collecting.course.api.gradebook as gradebook:
        missing = {one.id for one in gradebook.students} - found.keys()
        assert [gradebook.find_student(one).last_name for one in missing] == ["Zorn"]
