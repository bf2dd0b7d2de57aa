"""The questions of the chapters answer, and what they call right is right."""

import re

import numpy as np
import pytest
import questions
import torch
from experiments.margins import interval
from experiments.practice import calibration_error
from helpers.accessibility import violations
from sphinx.testing.util import SphinxTestApp
from torch import nn

CHAPTERS = ["why", "l2", "dropout", "batch_norm", "norms", "practice", "mistakes"]


@pytest.fixture
def open_page(browser, address):
    """Return a function that opens a chapter in a browser of its own."""
    contexts = []

    def opened(chapter, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{address}/book/{chapter}.html", wait_until="load")
        return page

    yield opened
    for context in contexts:
        context.close()


def verdict(box):
    """Return whether the shown verdict is right, and its text; None before there is one."""
    place = box.locator(".verdict")
    if not place.inner_text():
        return None
    return "right" in place.get_attribute("class").split(), place.inner_text()


def answer_number(box, text):
    """Type a number and check it; return the verdict."""
    box.locator("input").fill(text)
    box.get_by_role("button", name="Check").click()
    return verdict(box)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_question_marks_the_right_answer_as_right(chapter, open_page):
    """All questions of a chapter, five or more; each wrong option has a reason, too."""
    page = open_page(chapter)
    boxes = page.locator(".question").all()
    assert len([box for box in boxes if "Question" in box.get_attribute("aria-label")]) >= 5
    for box in boxes:
        kind = box.get_attribute("data-kind")
        assert verdict(box) is None
        if kind == "choice":
            rights = box.get_attribute("data-right").split()
            options = box.locator(".options button")
            assert options.count() >= 2
            for i in range(options.count()):
                options.nth(i).click()
                right, text = verdict(box)
                assert right is (str(i) in rights)
                assert text.startswith("Right. " if right else "No. ")
                assert len(text.split()) > 3
                assert options.nth(i).get_attribute("aria-pressed") == "true"
            assert box.locator("[aria-pressed=true]").count() == 1
        elif kind == "number":
            for one in box.get_attribute("data-numbers").split():
                value, _, right = one.split(",")
                assert answer_number(box, value)[0] is (right == "1")
            assert answer_number(box, "123456") == (False, "No. Try again, or unfold the answer.")
        else:
            count = box.locator(".options li").count()
            for place in range(count):
                line = box.locator(f".options li.place-{place}")
                for _ in range(count):
                    line.get_by_role("button", name="Move up").click()
            # Each was moved to the top, the last one in the end.
            assert verdict(box) is None
            box.get_by_role("button", name="Check").click()
            assert verdict(box) == (False, "Not yet. Line 1 belongs elsewhere.")
            for place in reversed(range(count)):
                line = box.locator(f".options li.place-{place}")
                for _ in range(count):
                    line.get_by_role("button", name="Move up").click()
            box.get_by_role("button", name="Check").click()
            assert verdict(box)[0]


def of(page, words):
    """Return the question that asks something."""
    return page.locator(".question").filter(has=page.locator(".asked", has_text=words))


def test_no_empty_box_waits_for_an_answer(open_page):
    """Where the verdict will be there is nothing to see before there is one."""
    page = open_page("l2")
    assert page.locator(".question .verdict").count() > 5
    for place in page.locator(".question .verdict").all():
        assert place.bounding_box()["height"] == 0


def test_a_choice_can_be_made_by_keyboard_and_is_read_aloud(open_page):
    """Tab and Enter are enough, and the reason appears in a live region."""
    page = open_page("l2")
    box = of(page, "You halve the learning rate")
    box.locator(".options button").first.focus()
    page.keyboard.press("Enter")
    right, text = verdict(box)
    assert not right
    assert text.startswith("No. The factor is")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert verdict(box)[0]
    page.wait_for_function("!document.querySelector('.verdict:not([aria-live=polite])')")


def test_lines_are_moved_by_keyboard(open_page):
    """The focus goes along with the line, and its new place is read aloud."""
    page = open_page("l2")
    box = of(page, "Put one step of")
    first = box.locator(".options li").nth(0)
    place = first.get_attribute("class")
    first.get_by_role("button", name="Move down").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert box.locator(".options li").nth(2).get_attribute("class") == place
    assert box.locator("[role=status]").inner_text() == "Now line 3 of 4."
    focused = page.evaluate("document.activeElement.closest('li').className")
    assert focused == place


def test_a_long_line_goes_on_beside_its_arrows(open_page):
    """On a phone, the second line of a step begins below the first and not below the arrows."""
    page = open_page("why", viewport={"width": 400, "height": 900})
    starts = page.locator(".question[data-kind=order] .options > li").evaluate_all(
        """items => items.map(item => {
            const words = document.createRange();
            words.selectNodeContents(item.querySelector("p"));
            return new Set([...words.getClientRects()].map(line => Math.round(line.left))).size;
        })"""
    )
    assert set(starts) == {1}


def test_on_paper_nothing_asks_to_be_pressed(open_page):
    """The options and the box for a number are printed, and neither arrows nor *Check*."""
    page = open_page("why")
    page.emulate_media(media="print")
    boxes = page.locator(".question")
    assert boxes.get_by_role("button", name="Check").count() == 0
    assert boxes.get_by_role("button", name="Move").count() == 0
    assert boxes.locator(".options button:visible").count() > 0
    assert boxes.locator("input:visible").count() > 0


def test_answers_come_back(open_page):
    """They are kept in the browser, without a request, and are silent when they come back."""
    page = open_page("l2")
    choice, number = of(page, "You halve the learning rate"), of(page, "Where does one step")
    choice.locator(".options button").nth(1).click()
    answer_number(number, "0.52")
    shown = verdict(choice), verdict(number)
    requests = []
    page.on("request", lambda request: requests.append(request))
    choice.locator(".options button").nth(1).click()
    assert requests == []
    page.reload(wait_until="load")
    assert (verdict(choice), verdict(number)) == shown
    assert number.locator("input").input_value() == "0.52"
    assert page.evaluate("document.cookie") == ""


def test_questions_answer_where_nothing_may_be_kept(browser, address):
    """A browser that forbids storage shows the verdict all the same."""
    context = browser.new_context()
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })"
    )
    page = context.new_page()
    page.goto(f"{address}/book/l2.html", wait_until="load")
    assert answer_number(of(page, "Where does one step"), "0.5195")[0]
    context.close()


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1.67", True),
        ("1,67", True),
        ("5/3", True),
        (" 10 / 6 ", True),
        ("1.6", False),
        ("−5/3", False),
        ("1", False),
    ],
)
def test_numbers_are_read_as_people_write_them(text, right, open_page):
    """A comma, a fraction, a minus sign; within the tolerance and not beyond."""
    box = of(open_page("why"), "Three training sets give")
    assert answer_number(box, text)[0] is right


@pytest.mark.parametrize("text", ["", "abc", "1/0", "1/2/3", "/"])
def test_what_is_no_number_is_told(text, open_page):
    """It is neither right nor a mistake of thinking."""
    box = of(open_page("why"), "Three training sets give")
    assert answer_number(box, text) == (False, "Write a number, such as 0.25, 1/4 or −3.")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_without_javascript_answers_are_folded(chapter, open_page):
    """Everything is there to be read, and no button that does nothing."""
    page = open_page(chapter, java_script_enabled=False)
    for box in page.locator(".question").all():
        assert box.locator("button, input").count() == 0
        assert not box.locator(".reasons").is_visible()
        box.locator("summary").click()
        assert box.locator(".reasons").is_visible()
        assert box.get_attribute("data-kind") == "order" or "Right. " in box.inner_text()


def test_only_pages_with_questions_load_their_script(open_page):
    """A page without any stays as light as it was."""
    page = open_page("glossary")
    assert page.locator("script[src*=questions], link[href*=questions]").count() == 0
    assert open_page("l2").locator("script[src*=questions]").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_answered_questions(scheme, open_page):
    """No rule of axe is broken by an answer and its verdict."""
    page = open_page("l2", color_scheme=scheme)
    of(page, "You halve the learning rate").locator(".options button").nth(0).click()
    of(page, "Two weights have").locator(".options button").nth(0).click()
    answer_number(of(page, "Where does one step"), "0.5")
    of(page, "Put one step of").get_by_role("button", name="Check").click()
    assert violations(page, within="#main-content") == {}


def right_number(page, words):
    """Return the number that a question calls right."""
    numbers = of(page, words).get_attribute("data-numbers").split()
    (right,) = [one.split(",")[0] for one in numbers if one.endswith(",1")]
    return float(right)


def computed():
    """Return chapter, words of the question, and the answer as PyTorch gives it, for numbers."""
    w = torch.tensor([0.5], requires_grad=True)
    (-0.2 * w).sum().backward()
    torch.optim.SGD([w], lr=0.1, weight_decay=0.01).step()
    yield "l2", "Where does one step", w.item()

    w = torch.tensor([0.0], requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (2 / 2 * (w - 3) ** 2).sum().backward()
        optimizer.step()
    yield "why", "Gradient descent starts", w.item()
    errors = (torch.tensor([1.0, 2.0, 3.0]) - 1) ** 2
    yield "why", "Three training sets give", errors.mean().item()

    w = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.2, weight_decay=0.5)
    for _ in range(500):
        optimizer.zero_grad()
        (torch.tensor([3.0, 0.1]) / 2 * (w - 5) ** 2).sum().backward()
        optimizer.step()
    yield "l2", "Along one axis", w[1].item()

    layer = nn.BatchNorm1d(1)
    with torch.no_grad():
        layer.weight.fill_(3)
        layer.bias.fill_(1)
        y = layer(torch.tensor([[2.0], [4.0]]))
    yield "batch_norm", "A feature has the values", y[1].item()
    yield "batch_norm", "The same batch (2, 4)", layer.running_var.item()
    yield "batch_norm", "An input of shape", nn.BatchNorm2d(8).running_mean.numel()

    generator = torch.Generator().manual_seed(0)
    a = torch.randn(400_000, 4, generator=generator)
    mask = torch.rand(a.shape, generator=generator) < 0.5
    w = torch.tensor([0.3, -1.0, 0.5, 2.0])
    yield (
        "batch_norm",
        "Dropout with keep probability",
        (((a * mask / 0.5) @ w).var() / (a @ w).var()).item(),
    )

    x = torch.tensor([2.0, 4.0, 6.0])
    yield "norms", "What does RMSNorm give", nn.functional.rms_norm(x, (3,), eps=0.0)[2].item()
    x = torch.randn(16, 8, 10, 10, generator=generator)
    means = torch.native_group_norm(x, None, None, 16, 8, 100, 4, 1e-5)[1]
    yield "norms", "goes through nn.GroupNorm", means.numel()
    parts = torch.randn(4000, 128, generator=generator)
    ratio = parts[:, :16].mean(1).std() / parts.mean(1).std()
    yield "norms", "A batch of 128 is split", ratio.item()
    kept = (torch.rand(400_000, generator=generator) < 0.7) / 0.3
    yield "mistakes", "A dropout layer with keep", kept.mean().item()

    a, mask = torch.tensor([2.0, -1.0, 4.0, 0.5]), torch.tensor([1.0, 0.0, 1.0, 1.0])
    yield "dropout", "A layer has the activations", (mask * a / 0.8)[2].item()
    # PyTorch's layers take no generator.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        twos = nn.Dropout(0.2)(torch.full((1_000_000,), 2.0))
        yield "dropout", "An activation is 2", twos.var().item()
        dropped = (nn.Dropout(0.1)(torch.ones(1_000_000)) == 0).double().mean().item()
        yield "dropout", "You want to keep 90%", dropped
        maps = nn.Dropout2d(0.5)(torch.ones(400, 16, 8, 8)).flatten(1)
    yield "dropout", "A feature map has 16", torch.linalg.matrix_rank(maps - maps.mean(0)).item()
    blocks = torch.distributions.Bernoulli(1 - torch.arange(1, 11) / 10 * (1 - 0.8))
    yield "dropout", "A residual network has ten", blocks.mean.sum().item()

    ten = torch.randn(10, generator=generator, dtype=torch.float64)
    yield "practice", "Ten differences have", interval(1.4 * ten / ten.std())[1]
    scores = torch.tensor([3.0, 1.0, 0.0])
    yield "practice", "For one image the scores", (scores / 3).softmax(0)[0].item()
    bins = np.array([[60, 60 * 0.7, 48], [40, 40 * 0.9, 30]])
    yield "practice", "Of a hundred images", calibration_error(bins)


def test_numbers_that_are_called_right_are_pytorchs(open_page):
    """The answers of the questions are those of a computation, up to the noise of some."""
    pages = {chapter: open_page(chapter) for chapter in CHAPTERS}
    for chapter, words, expected in computed():
        # A ratio of two measured deviations is the least exact.
        error = 0.05 if "split" in words else 0.01
        assert right_number(pages[chapter], words) == pytest.approx(expected, rel=error), words


def test_the_order_of_a_step_is_pytorchs(open_page):
    """The lines of the question on SGD, read as a program, give the optimizer's steps."""
    lines = of(open_page("l2"), "Put one step of").locator(".answer ol").first.locator("li")
    starts = lines.evaluate_all("all => all.map(one => one.textContent.trim().split(' ')[0])")
    assert starts == ["Take", "Add", "Multiply", "Subtract"]
    w, buffer = 2.0, 0.0
    parameter = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9, weight_decay=0.3)
    for _ in range(3):
        g = w - 5
        g += 0.3 * w
        buffer = 0.9 * buffer + g
        w -= 0.1 * buffer
        optimizer.zero_grad()
        (0.5 * (parameter - 5) ** 2).sum().backward()
        optimizer.step()
        assert parameter.item() == pytest.approx(w)


def test_the_order_of_monte_carlo_prediction_leaves_the_model_as_it_was(open_page):
    """The lines of its question, read as a program, change no mode and no running statistics."""
    lines = of(open_page("dropout"), "Put Monte Carlo").locator(".answer ol").first.locator("li")
    starts = lines.evaluate_all("all => all.map(one => one.textContent.trim().split(' ')[0])")
    drop, norm = nn.Dropout(0.5), nn.BatchNorm1d(3)
    model = nn.Sequential(drop, norm)
    modes, outputs = {}, []
    steps = {
        "Note": lambda: modes.update({module: module.training for module in model.modules()}),
        "Put": model.eval,
        "Switch": drop.train,
        "Collect": lambda: outputs.extend(model(torch.ones(4, 3)) for _ in range(20)),
        "Restore": lambda: [module.train(mode) for module, mode in modes.items()],
    }
    assert sorted(starts) == sorted(steps)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for start in starts:
            steps[start]()
    assert torch.stack(outputs).std(0).min() > 0
    assert norm.num_batches_tracked == 0
    assert all(module.training for module in model.modules())


def test_what_is_said_of_dropout_and_the_penalty_is_pytorchs():
    """Weight decay is not in the loss, and is all that moves the weight of an input of zero."""
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    moved, losses = {}, {}
    for drop, decay in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.1)):
        w = torch.ones(2, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=0.1, weight_decay=decay)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            loss = ((nn.Dropout(drop)(x) @ w - 3) ** 2).mean()
        loss.backward()
        optimizer.step()
        moved[drop, decay], losses[drop, decay] = w[1].item(), loss.item()
    assert moved[0.5, 0.0] == 1
    assert moved[0.0, 0.1] < 1
    assert losses[0.0, 0.1] == losses[0.0, 0.0] != losses[0.5, 0.0]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("choice\nWhat?", "needs a list of its answers"),
        ("choice\nWhat?\n\n- [ ] This\n\n  No.\n- [ ] That\n\n  No.", "No answer is marked"),
        ("choice\nWhat?\n\n- This\n- That", "Give a mark and a reason"),
        ("number\nWhat?\n\n- [x] many\n\n  So it is.", "This is no number"),
    ],
)
def test_a_question_that_cannot_be_marked_stops_the_build(content, complaint, tmp_path):
    """Whoever writes a question is told what is missing."""
    (tmp_path / "conf.py").write_text("extensions = ['myst_parser', 'questions']\n")
    (tmp_path / "index.md").write_text(f"# Page\n\n```{{question}} {content}\n```\n")
    application = SphinxTestApp("html", tmp_path, builddir=tmp_path / "build")
    try:
        application.build()
        assert re.search(complaint, application.warning.getvalue())
    finally:
        application.cleanup()
    assert questions.MARK.match("[x] yes")
