"""What is alike in a class, and that what everybody writes is not."""

import importlib
import inspect
import re
import textwrap

import nbformat
import pytest
from helpers.accessibility import violations
from helpers.courses import STUB, answered, autograder, hand_in, released_course
from helpers.independent import CHOICES, independent
from helpers.pages import Page
from styles.trial import styles

from autograder.course.similar.alike import MAX_TOKENS, Code, pairs
from autograder.course.similar.compare import Similar
from autograder.course.similar.page import html_page
from autograder.tasks import assignments

NAMES = frozenset(re.findall(r"\w+", " ".join(CHOICES)))
ATTACK = "<script>hit = 1</script>"


def code(answers):
    return {task: Code(text, NAMES) for task, text in answers.items()}


def group(size):
    """Return a class whose students write without each other."""
    return {f"s{number}": independent(number) for number in range(size)}


def found(answers, least=0.8):
    """Return the pairs of a class by their students."""
    given = [Code(f"def {definition}:\n    {STUB}", NAMES) for definition in CHOICES]
    some = pairs({student: code(texts) for student, texts in answers.items()}, given, least)
    return {pair.students: pair for pair in some}


def renamed(text):
    names = set(re.findall(r"\w+", text)) & {*"setpdzmvgwN", "dW", "db", "logp", "loss"}
    return re.sub(
        rf"(?<![\"'.\w])({'|'.join(sorted(names) or ['-'])})(?![\"'\w])", r"the_\1_of_mine", text
    )


def commented(text):
    lines = [line for line in text.split("\n") if line]
    return '"""My own work."""\n' + "\n".join(f"{line}  # {len(line)}\n" for line in lines)


def moved(text):
    """Write the last step before the first one, and something of one's own between them."""
    first, *body = text.strip("\n").split("\n")
    if len(body) < 6 or any(line.startswith("     ") for line in body):
        return text
    return "\n".join([first, *body[3:], "    print('so far')", *body[:3]])


@pytest.mark.parametrize("size", [2, 5, 60])
@pytest.mark.parametrize("disguise", [renamed, commented, moved])
def test_a_disguised_copy_is_found_and_nothing_else(size, disguise):
    """Other names, comments and an order change little, in a class of any size."""
    answers = group(size)
    answers["copy"] = {task: disguise(text) for task, text in answers["s1"].items()}
    assert list(found(answers)) == [("copy", "s1")]


def test_a_class_that_writes_without_each_other_is_no_pair():
    """Of 11175 pairs none is alike, though each student shares most steps with many others."""
    assert found(group(150)) == {}


@pytest.mark.parametrize("assignment", assignments)
def test_styles_are_not_alike(assignment):
    """The right answers with which false alarms are looked for are far from each other."""
    module = importlib.import_module(f"styles.{assignment}")
    answers = {
        style: {name: textwrap.dedent(inspect.getsource(one)) for name, one in functions.items()}
        for style, functions in styles(assignment).items()
        if hasattr(module, style) and all(map(inspect.isroutine, functions.values()))
    }
    assert len(answers) > 3
    assert found(answers, 0.6) == {}


def test_what_everybody_writes_or_was_given_is_no_sign():
    """Thirty times the same answer, as from a lecture, or the same empty exercise."""
    same = independent(1)
    assert found({f"s{number}": same for number in range(30)}) == {}
    empty = {d.partition("(")[0]: f"def {d}:\n    {STUB}" for d in CHOICES}
    assert found({"ada": empty, "bob": empty, "eve": independent(2)}) == {}


def test_a_short_answer_that_others_also_write_is_no_sign():
    """Students who solved only the short tasks agree by chance."""
    short = ("l2_penalty", "l2_penalty_backward", "sgd_step")
    answers = {s: {task: some[task] for task in short} for s, some in group(40).items()}
    assert found(answers) == {}


def test_a_group_is_found_as_all_of_its_pairs():
    """Four who share an answer are six pairs, each with the tasks in which they agree."""
    answers = group(30)
    for number in (1, 2, 3):
        answers[f"s{number}"] = {**answers["s0"], "sgd_step": independent(number)["sgd_step"]}
    some = found(answers)
    assert {student for students in some for student in students} == {"s0", "s1", "s2", "s3"}
    assert len(some) == 6
    tasks = {one.task: one.share for one in some["s0", "s1"].tasks}
    assert tasks["softmax_regression"] == tasks["adam_step"] == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "def f(:\n    return (((",
        'x = """never closed ' + "\\" * 999,
        '"""' * 5000 + "\\",
        "'\\" * 20_000,
        "a" * 50_000,
        "*" * 50_000,
        "\\\n" * 20_000,
        "\x00\udc80é = 𝒳",
        "",
    ],
    ids=range(9),
)
def test_any_text_can_be_read(text):
    """Broken code has tokens, too, and of too many only the first count."""
    read = Code(text)
    assert len(read.runs) < MAX_TOKENS
    assert read.lines_with(read.runs) <= set(range(text.count("\n") + 1))


@pytest.fixture(scope="module")
def alike():
    """Return a class with a hostile student, whose answer another one copied."""
    answers = group(12)
    answers[f"eve {ATTACK}"] = {
        task: f"{text}    # {ATTACK} & '\"\n" for task, text in answers["s5"].items()
    }
    codes = {student: code(texts) for student, texts in answers.items()}
    handed_out = frozenset({"", "def sgd_step(param, grad, lr, weight_decay):"})
    return Similar("l2", 0.8, codes, pairs(codes, [], 0.8), {ATTACK: ATTACK}, handed_out)


@pytest.fixture(scope="module")
def file(alike, tmp_path_factory):
    """Return the page as a file."""
    file = tmp_path_factory.mktemp("similar") / "similar.html"
    file.write_text(html_page(alike), encoding="utf-8")
    return file


def test_the_page_shows_both_sides_and_is_harmless(file):
    """Shared lines are marked, what was handed out is left out, all that students write escaped."""
    page = Page(file)
    assert page.fetched == []
    assert "<script" not in page.source
    assert "no verdict" in page.source
    assert page.headings[1].startswith(f"eve {ATTACK} and s5")
    assert "def sgd_step" not in page.source
    left, right, *_ = re.findall(r"<pre.*?</pre>", page.source, re.DOTALL)
    marked = re.findall(r"<mark>(.*)</mark>", left)
    assert marked
    assert re.findall(r"<mark>(.*)</mark>", right) == marked


@pytest.mark.parametrize("width", [390, 1400])
def test_the_page_fits_the_window(file, browser, width):
    """Side by side where there is room, below each other on a phone."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first, second = (box.bounding_box() for box in page.locator(".sides .box").all()[:2])
    assert (first["y"] == second["y"]) == (width > 1000)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_page(file, browser, scheme):
    """No rule of axe is broken."""
    page = browser.new_page(color_scheme=scheme)
    page.goto(file.as_uri())
    assert violations(page) == {}
    page.close()


LONG = """found = []
    for number, weight in enumerate(reversed(weights)):
        if number % 2 == 0:
            found.append(weight.ravel() @ weight.ravel() * 1.0)
        else:
            found.insert(0, np.linalg.norm(weight.reshape(-1)) ** 2 + 0.0)
    halves = [value / 2.0 for value in sorted(found, key=abs)]
    together = functools.reduce(operator.add, halves, 0.0)
    return float(np.asarray(together, dtype=np.float64) * weight_decay)"""


@pytest.fixture
def course(tmp_path):
    """Return a course in which two of four readable submissions are alike."""
    course = released_course(tmp_path)
    hand_in(course, "ada", answered(course, l2_penalty=LONG))
    copied = answered(course, l2_penalty=LONG.replace("found", "parts").replace("halves", "h"))
    copied.cells.insert(1, nbformat.v4.new_code_cell("import functools, operator"))
    hand_in(course, "bob", copied)
    hand_in(course, "eve", answered(course))
    hand_in(course, "zoe", answered(course, l2_penalty="return 0"))
    return course


def test_the_command_shows_the_pair_and_writes_the_page(course, monkeypatch):
    """It says what it means, and is done when everything could be read."""
    status, said = autograder(course, monkeypatch, "similar", "l2")
    assert status == 0
    [line] = [line for line in said.splitlines() if "ada" in line]
    assert re.search(r"ada +bob +100% +l2_penalty 100%", line)
    assert "1 of 6 pairs are alike" in said
    assert "no verdict" in said
    assert "In a class this small" in said
    assert LONG.split("\n")[3] in (course.root / "similar.html").read_text()


def test_what_cannot_be_read_is_named_and_left_out(course, monkeypatch, tmp_path):
    """The others are compared; the exit status says that somebody is missing."""
    hand_in(course, "mia", "This was a notebook once.\n")
    target = tmp_path / "elsewhere.html"
    status, said = autograder(course, monkeypatch, "similar", "l2", "--output", str(target))
    assert status == 1
    assert "mia is left out: The file is no notebook" in said
    assert "1 of 6 pairs" in said
    assert "<b>mia</b> is left out" in target.read_text()


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["l3"], "No assignment 'l3'"),
        (["l2"], "Nobody has handed in l2"),
        (["l2", "--least", "1.5"], "--least"),
    ],
)
def test_what_cannot_be_compared_is_said(tmp_path, monkeypatch, arguments, advice):
    """In one line, with status 2."""
    course = released_course(tmp_path)
    status, said = autograder(course, monkeypatch, "similar", *arguments)
    assert status == 2
    assert advice in said
