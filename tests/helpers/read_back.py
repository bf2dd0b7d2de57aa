"""What platforms make of what goes back to them, written from descriptions of their formats.

It shares no code with the package, so that no mistake can be in both.
"""

import csv
import io
import json
import re
import zipfile
from datetime import datetime


def table(content):
    """Return the header and the rows of a CSV file."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = content.decode("utf-16")
    else:
        text = content.decode("utf-8-sig")
    delimiter = ";" if ";" in text.splitlines()[0] else ","
    header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return header, rows


def canvas_grades(content, assignment_id):
    """Return the grades that Canvas would import, by the ID of the user."""
    header, rows = table(content)
    assert {"Student", "ID", "Section"} <= {*header}
    [column] = [n for n, title in enumerate(header) if title.endswith(f"({assignment_id})")]
    if rows[0][0].startswith("    Points Possible"):
        rows = rows[1:]
    return {row[header.index("ID")]: row[column] for row in rows}


def canvas_feedback(content, users):
    """Return the pages that Canvas would attach, by the ID of the user, one of `users`."""
    found = {}
    for name, page in unzipped(content).items():
        assert "/" not in name
        assert name.endswith(".html")
        [user] = [id for id in re.findall(r"_(\d+)(?=_)", name) if id in users][:1]
        assert user not in found
        found[user] = page
    return found


def moodle_grades(content, identifier="Identifier", grade="Grade", modified="(grade)"):
    """Return the grades that Moodle would import, by the number of the participant."""
    header, rows = table(content)
    assert any(modified in title for title in header)
    return {
        re.search(r"(\d+)$", row[header.index(identifier)])[1]: row[header.index(grade)]
        for row in rows
    }


def moodle_feedback(content):
    """Return the pages that Moodle would hand out, by the number of the participant."""
    found = {}
    for name, page in unzipped(content).items():
        _, number, kind, plugin, rest = name.replace("/", "_", 1).split("_", 4)
        assert (kind, plugin) in (("assignsubmission", "file"), ("assignfeedback", "file"))
        assert rest.endswith("l2.html")
        assert number not in found
        found[number] = page
    return found


def gradescope(content):
    """Return the page and the results of each submission."""
    files = unzipped(content)
    folders = {name.split("/")[0] for name in files}
    assert all(re.fullmatch(r"submission_\d+", folder) for folder in folders)
    return {
        folder: (files[f"{folder}/l2.html"], json.loads(files[f"{folder}/results.json"]))
        for folder in folders
    }


def classroom50(content):
    """Return the points of each owner, after a check of the schema."""
    found = {}
    for result in json.loads(content):
        assert list(result) == [
            "schema", "classroom", "assignment", "assignment_type", "owner", "submission",
            "commit", "release", "review", "datetime", "score", "max-score", "tests",
        ]  # fmt: skip
        assert result["schema"] == "classroom50/result/v1"
        assert result["assignment_type"] in ("individual", "group")
        assert result["submission"].startswith("submit/")
        datetime.strptime(result["datetime"], "%Y-%m-%dT%H:%M:%SZ")
        for one in (result, *result["tests"]):
            assert isinstance(one["score"], int)
            assert isinstance(one["max-score"], int)
        for test in result["tests"]:
            assert isinstance(test["passed"], bool)
            assert test["test-name"]
        assert sum(test["score"] for test in result["tests"]) == result["score"]
        found[result["owner"]] = result["score"] / 4
    return found


def gradescope_results(content):
    """Return a results.json and its tests by name, after a check of what Gradescope reads."""
    results = json.loads(content)
    formats = ("text", "html", "simple_format", "md", "ansi")
    when = ("visible", "hidden", "after_due_date", "after_published")
    assert {*results} <= {
        "score", "execution_time", "output", "output_format", "test_output_format",
        "test_name_format", "visibility", "stdout_visibility", "extra_data", "tests", "leaderboard",
    }  # fmt: skip
    assert results["visibility"] in when
    assert results["stdout_visibility"] == "hidden"
    for key in ("output_format", "test_output_format", "test_name_format"):
        assert results[key] in formats
    assert isinstance(results["output"], str)
    assert results["execution_time"] >= 0
    for test in results["tests"]:
        assert {*test} <= {
            "score", "max_score", "status", "name", "name_format", "number", "output",
            "output_format", "tags", "visibility", "extra_data",
        }  # fmt: skip
        assert test["status"] in ("passed", "failed")
        assert isinstance(test["score"], float)
        assert isinstance(test["max_score"], float)
        assert test["score"] <= test["max_score"]
        for text in (test["name"], test["number"], test["output"], *test["tags"]):
            assert isinstance(text, str)
    assert results["score"] == sum(test["score"] for test in results["tests"])
    found = {test["name"]: test for test in results["tests"]}
    assert len(found) == len(results["tests"])
    return results, found


def unzipped(content):
    """Return the files of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        assert len({*names}) == len(names)
        return {name: archive.read(name) for name in names}
