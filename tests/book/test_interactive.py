"""The interactive figures answer, and what they show is what PyTorch computes."""

import gzip
import itertools
import re
import shutil
from types import SimpleNamespace

import interactive
import pytest
import torch
from helpers.accessibility import violations
from sphinx.testing.util import SphinxTestApp
from torch import nn

FIGURES = {
    "batch_norm": "book/batch_norm",
    "shrinkage": "book/l2",
    "decay": "book/l2",
    "dropout": "book/dropout",
    "moons": "book/why",
    "axes": "book/norms",
}
"""The page of each figure."""

STATE = """
async ([place, name, link]) => {
  const kit = await import(`${place}/figures/kit.js`);
  const figure = await import(`${place}/figures/${name}.js`);
  return kit.decode(figure, new URL(link).hash);
}
"""
CONSTANT = "async ([place, name, one]) => (await import(`${place}/figures/${name}.js`))[one]"
CALL = """
async ([place, name, called, values]) =>
  (await import(`${place}/figures/${name}.js`))[called](...values)
"""


def number(text):
    """Read a number as a figure writes it."""
    return float(text.replace("\N{MINUS SIGN}", "-"))


@pytest.fixture
def open_figure(browser, address):
    """Return a function that opens a figure and returns what a test needs of it."""
    contexts, complaints = [], []

    def opened(name, state="", **options):
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.goto(f"{address}/{FIGURES[name]}.html{state}", wait_until="load")
        root = page.locator(f"figure:has([data-figure={name}])")
        root.scroll_into_view_if_needed()
        page.locator(f"figure.live:has([data-figure={name}])").wait_for(timeout=10_000)
        # A place at which all of the figure's pictures can be reached.
        root.evaluate("one => one.scrollIntoView()")

        def state_now():
            link = root.locator("a.state").evaluate("one => one.href")
            return page.evaluate(STATE, [address, name, link])

        def call(function, *values):
            return page.evaluate(CALL, [address, name, function, list(values)])

        def rows():
            lines = root.locator(".numbers tbody tr").all()
            return [
                [
                    number(one.rstrip("%"))
                    for one in row.locator("td").all_inner_texts()
                    if one != "–"
                ]
                for row in lines
            ]

        def words():
            return root.locator(".words").inner_text()

        return SimpleNamespace(
            page=page,
            address=address,
            root=root,
            state=state_now,
            rows=rows,
            words=words,
            call=call,
            set=lambda name, value: set_range(root, name, value),
        )

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def set_range(root, name, value):
    """Move a slider."""
    root.locator(f"input[data-name={name}]").fill(str(value))


def drag(figure, handle, right, down=0):
    """Drag a handle with the mouse, by a number of pixels."""
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    figure.page.mouse.move(x, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x + right / 2, y + down / 2)
    figure.page.mouse.move(x + right, y + down)
    figure.page.mouse.up()


def swipe(figure, handle, right, down=0):
    """Drag a handle with a finger, by a number of pixels."""
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = figure.page.context.new_cdp_session(figure.page)
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x + right / 2, "y": y + down / 2}]),
        ("touchMove", [{"x": x + right, "y": y + down}]),
        ("touchEnd", []),
    ):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_loaded_when_it_is_about_to_be_seen(name, address, browser):
    """At the top of a page no module has been asked for, and no other page asks for any."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/{FIGURES[name]}.html", wait_until="networkidle")
    assert not [url for url in asked if url.endswith((f"/{name}.js", "/kit.js"))]
    page.locator(f"figure:has([data-figure={name}])").scroll_into_view_if_needed()
    page.locator(f"figure.live:has([data-figure={name}])").wait_for(timeout=10_000)
    assert [url for url in asked if url.endswith(f"/figures/{name}.js")]
    asked.clear()
    page.goto(f"{address}/book/glossary.html", wait_until="networkidle")
    modules = [url for url in asked if "/figures/" in url]
    assert [url.rpartition("/")[2] for url in modules] == ["previews.js"]
    page.close()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_small(name, site):
    """With the module that all share, it takes less than 15 kB on its way."""
    sizes = [len(gzip.compress((site / f"figures/{one}.js").read_bytes())) for one in (name, "kit")]
    print(f"{name}: {sizes[0]} bytes, with kit {sum(sizes)}")
    assert sum(sizes) < 15_000


@pytest.mark.parametrize("name", FIGURES)
def test_without_javascript_there_is_a_picture(name, address, browser):
    """The first state is drawn and put into words, and no control is there that does nothing."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/{FIGURES[name]}.html", wait_until="load")
    root = page.locator(f"figure:has([data-figure={name}])")
    for picture in root.locator(".panels > svg").all():
        assert picture.bounding_box()["height"] > 100
        assert picture.locator("g.drawn > *").count() > 5
        assert len(picture.get_attribute("aria-label").split()) > 5
    assert len(root.locator(".words").inner_text().split()) > 8
    assert root.locator("input, button, [tabindex]").count() == 0
    context.close()


@pytest.mark.parametrize("name", FIGURES)
def test_the_picture_of_the_build_is_the_first_of_the_figure(name, open_figure, address, browser):
    """Nothing jumps when the module arrives."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/{FIGURES[name]}.html", wait_until="load")
    drawn = page.locator(f"figure:has([data-figure={name}]) g.drawn")
    still = [one.inner_html() for one in drawn.all()]
    context.close()
    figure = open_figure(name, reduced_motion="reduce")
    assert [one.inner_html() for one in figure.root.locator("g.drawn").all()] == still


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_of_a_figure_are_large_enough_on_a_phone(name, scheme, open_figure):
    """No text is smaller than 11 pixels, and the page need not be pushed sideways."""
    figure = open_figure(name, viewport={"width": 400, "height": 800}, color_scheme=scheme)
    heights = figure.root.evaluate(
        """root => [...root.querySelectorAll("text")].map((one) =>
             parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a)"""
    )
    assert min(heights) >= 11
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.parametrize("name", FIGURES)
def test_everything_can_be_reached_by_keyboard_and_has_a_name(name, open_figure):
    """What can be moved has a role, a name and a value in words."""
    figure = open_figure(name)
    handles = figure.root.locator(".handles g").all()
    for one in handles:
        if one.get_attribute("aria-hidden") == "true":
            # A slider does the same.
            assert one.get_attribute("tabindex") == "-1"
            assert figure.root.locator("input[type=range]").count() > 0
            continue
        assert one.get_attribute("tabindex") == "0"
        assert len(one.get_attribute("aria-label").split()) > 1
        assert one.get_attribute("role") in ("slider", "switch")
    for one in figure.root.locator("input[type=range]").all():
        assert one.get_attribute("aria-valuetext")
        assert one.evaluate("one => one.labels.length") == 1
    assert figure.root.locator("[role=status]").count() == 1


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_a_figure(name, scheme, open_figure):
    """No rule of axe is broken within a figure that has been loaded."""
    figure = open_figure(name, color_scheme=scheme)
    assert violations(figure.page, within=f"figure:has([data-figure={name}])") == {}


def by_torch(state):
    """Return outputs and gradients of PyTorch's layer for a state of the figure."""
    layer = nn.BatchNorm1d(1, momentum=state["momentum"], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.fill_(state["gamma"])
        layer.bias.fill_(state["beta"])
        layer.running_mean.fill_(state["mean"])
        layer.running_var.fill_(state["variance"])
    layer.train(state["mode"] != "eval")
    x = torch.tensor(state["x"], dtype=torch.float64)[:, None].requires_grad_()
    y = layer(x)
    g = {
        "first": [1, 0, 0, 0, 0, 0, 0, 0],
        "equal": [1] * 8,
        "mixed": [1, -0.6, 0.3, -1, 0.8, 0.2, -0.4, 0.5],
    }[state["upstream"]][: len(x)]
    y.backward(torch.tensor(g, dtype=torch.float64)[:, None])
    return {
        "x": x.flatten().tolist(),
        "y": y.flatten().tolist(),
        "g": g,
        "dx": x.grad.flatten().tolist(),
        "dgamma": layer.weight.grad.item(),
        "dbeta": layer.bias.grad.item(),
        "running": (layer.running_mean.item(), layer.running_var.item()),
    }


def compare_batch_norm(figure):
    """Compare all numbers that the figure shows with PyTorch's for the state of its link."""
    expected = by_torch(figure.state())
    x, _, y, g, dx = figure.rows()
    for shown, right in ((x, "x"), (y, "y"), (g, "g"), (dx, "dx")):
        assert shown == pytest.approx(expected[right], abs=5.1e-4), right
    caption = figure.root.locator("caption").inner_text()
    assert [number(one) for one in re.findall(r"= (\S+\d)", caption)] == pytest.approx(
        [expected["dgamma"], expected["dbeta"]], abs=5.1e-4
    )
    return expected


def test_batch_norm_follows_the_mouse(open_figure):
    """One point is dragged, and the outputs and gradients of the others change as PyTorch's do."""
    figure = open_figure("batch_norm")
    before = compare_batch_norm(figure)
    drag(figure, figure.root.locator(".handles g").nth(3), right=-60)
    after = compare_batch_norm(figure)
    assert after["x"][:3] == before["x"][:3]
    assert after["x"][3] < before["x"][3] - 1
    for name in ("y", "dx"):
        assert all(abs(a - b) > 0.01 for a, b in zip(after[name], before[name], strict=True))


def test_batch_norm_follows_the_keyboard(open_figure):
    """Arrow keys move the point that has the focus, which it keeps."""
    figure = open_figure("batch_norm")
    point = figure.root.locator(".handles g").nth(1)
    point.focus()
    for key in ("ArrowRight", "ArrowRight", "PageUp", "ArrowLeft"):
        figure.page.keyboard.press(key)
    assert figure.state()["x"] == pytest.approx([1, 3.1, 3, 6])
    assert point.get_attribute("aria-valuetext") == "3.1"
    compare_batch_norm(figure)


def test_batch_norms_points_can_be_caught_at_their_edge(open_figure):
    """Of two points that are near each other, the one is moved to which the mouse is nearer."""
    figure = open_figure("batch_norm")
    box = figure.root.locator(".handles g").nth(0).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    figure.page.mouse.move(x + 10, y)
    figure.page.mouse.down()
    figure.page.mouse.move(x - 30, y)
    figure.page.mouse.up()
    state = compare_batch_norm(figure)
    assert state["x"][0] < 0.5
    assert state["x"][1:] == [2, 3, 6]


@pytest.mark.parametrize(
    ("name", "handle", "ends"),
    [
        ("batch_norm", 2, {"Home": "\N{MINUS SIGN}3.0", "End": "9.0"}),
        ("shrinkage", 0, {"Home": "first weight \N{MINUS SIGN}1.0", "End": "first weight 4.0"}),
        ("shrinkage", 1, {"Home": "λ = 0", "End": "λ = 100"}),
    ],
)
def test_home_and_end_move_a_point_and_not_the_page(name, handle, ends, open_figure):
    """As on any slider, they go to the ends."""
    figure = open_figure(name)
    point = figure.root.locator(".handles g").nth(handle)
    point.focus()
    before = figure.page.evaluate("scrollY")
    for key, text in ends.items():
        figure.page.keyboard.press(key)
        assert point.get_attribute("aria-valuetext").startswith(text)
    figure.page.wait_for_timeout(100)
    assert figure.page.evaluate("scrollY") == before


def test_batch_norm_follows_a_finger(open_figure):
    """On a phone a point can be moved without the page moving."""
    figure = open_figure("batch_norm", viewport={"width": 400, "height": 800}, has_touch=True)
    swipe(figure, figure.root.locator(".handles g").nth(0), right=90)
    assert figure.state()["x"][0] > 2
    compare_batch_norm(figure)


@pytest.mark.parametrize("mode", ["train", "eval", "forgotten"])
@pytest.mark.parametrize("upstream", ["first", "equal", "mixed"])
def test_batch_norm_is_pytorchs_in_each_mode(mode, upstream, open_figure):
    """Whatever the sliders say, and with more examples."""
    figure = open_figure("batch_norm", f"#fig=batch_norm&upstream={upstream}&mean=2&variance=5")
    figure.root.locator(f"input[value={mode}]").check()
    figure.root.get_by_role("button", name="One example more").click()
    figure.set("gamma", -1.5)
    figure.set("beta", 2.5)
    state = figure.state()
    assert (state["mode"], state["gamma"], state["mean"], len(state["x"])) == (mode, -1.5, 2, 5)
    expected = compare_batch_norm(figure)
    if mode != "eval":
        assert abs(sum(expected["dx"])) < 1e-9
        if upstream == "equal":
            assert max(map(abs, expected["dx"])) < 1e-9


def test_batch_norms_running_statistics_are_pytorchs(open_figure):
    """Each batch enters them in training and with eval() forgotten, and none in evaluation."""
    figure = open_figure("batch_norm", "#fig=batch_norm&momentum=0.3")
    press = figure.root.get_by_role("button", name="Next batch").click
    for mode, times in (("train", 12), ("eval", 2), ("forgotten", 3)):
        figure.root.locator(f"input[value={mode}]").check()
        for _ in range(times):
            expected = by_torch(figure.state())["running"]
            press()
            state = figure.state()
            assert (state["mean"], state["variance"]) == pytest.approx(expected)
    assert figure.state()["batches"] == 17
    assert "eval() is forgotten" in figure.words()


def test_ten_batches_are_ten_times_one(open_figure):
    """A button that saves clicks leads to the same state."""
    states = []
    for name, times in (("Next batch", 10), ("Ten batches", 1)):
        figure = open_figure("batch_norm")
        for _ in range(times):
            figure.root.get_by_role("button", name=name).click()
        states.append(figure.state())
    assert states[0] == states[1]
    assert states[0]["batches"] == 10


def test_batch_norm_can_be_linked_to(open_figure):
    """A state that came from a link is the state that was left, and nonsense in it is mended."""
    figure = open_figure("batch_norm")
    figure.root.get_by_role("button", name="Next batch").click()
    figure.set("gamma", 0.7)
    state, rows = figure.state(), figure.rows()
    link = figure.root.locator("a.state").get_attribute("href")
    figure.root.locator("a.state").click()
    figure.root.get_by_text("Now in the address bar").wait_for()
    assert figure.page.url.endswith(link)
    assert figure.state() == state
    again = open_figure("batch_norm", link)
    assert (again.state(), again.rows()) == (state, rows)
    # Back to the first state, and by the link's address to the other one again.
    again.root.get_by_role("button", name="Start again").click()
    again.page.evaluate("link => { location.hash = link + '&'; }", link)
    again.page.wait_for_function(
        "document.querySelector('.interactive a.state').hash.includes('gamma=0.7')"
    )
    assert again.rows() == rows
    odd = open_figure("batch_norm", "#fig=batch_norm&x=1,2&gamma=99&mode=<b>&beta=abc&variance=-4")
    state = odd.state()
    assert (state["x"], state["gamma"], state["mode"], state["beta"], state["variance"]) == (
        [1, 2, 3, 6], 3, "train", 1, 0,
    )  # fmt: skip


def compare_shrinkage(figure):
    """Compare the numbers with those of the chapter's loop: gradient descent with weight decay."""
    state = figure.state()
    H = torch.tensor([[2.125, 1.875], [1.875, 2.125]], dtype=torch.float64)
    star = torch.tensor(state["star"], dtype=torch.float64)
    w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    # A step that suits the steepest direction.
    optimizer = torch.optim.SGD([w], lr=1 / (4 + state["lambda"]), weight_decay=state["lambda"])
    for _ in range(2000):
        optimizer.zero_grad()
        loss = 0.5 * (w - star) @ H @ (w - star)
        loss.backward()
        optimizer.step()
    words = [number(one) for one in re.findall(r"\N{MINUS SIGN}?\d+(?:\.\d+)?", figure.words())]
    first, second = w.tolist()
    with torch.no_grad():
        loss = (0.5 * (w - star) @ H @ (w - star)).item()
        expected = [state["lambda"], first, second, w.norm().item()]
    assert words[:4] == pytest.approx(expected, abs=5.1e-4)
    assert words[-1] == pytest.approx(loss, abs=5.1e-4)
    # The shares along the axes are those of the weights' sum and difference.
    (*_, sum_star, sum_w), (*_, difference_star, difference_w) = figure.rows()
    assert [sum_star, difference_star] == pytest.approx(
        [sum(state["star"]), state["star"][0] - state["star"][1]], abs=5.1e-4
    )
    assert [sum_w, difference_w] == pytest.approx([first + second, first - second], abs=5.1e-4)
    for _, share, star_part, w_part in figure.rows():
        assert share * star_part == pytest.approx(w_part, abs=5e-3)
    return state


def test_shrinkage_follows_slider_and_mouse(open_figure):
    """The minimum slides on its path, wherever w* is put."""
    figure = open_figure("shrinkage")
    assert compare_shrinkage(figure)["lambda"] == 1
    set_range(figure.root, "lambda", 20)
    assert compare_shrinkage(figure)["lambda"] == pytest.approx(0.089)
    set_range(figure.root, "lambda", 0)
    assert compare_shrinkage(figure)["lambda"] == 0
    set_range(figure.root, "lambda", 41)
    star, minimum = figure.root.locator(".handles g").all()
    drag(figure, minimum, right=-40, down=40)
    assert compare_shrinkage(figure)["lambda"] > 1.5
    drag(figure, star, right=-80, down=30)
    state = compare_shrinkage(figure)
    assert state["star"][0] < 2.5
    assert state["star"][1] < 0.8


def test_shrinkage_follows_the_keyboard(open_figure):
    """Both points can be moved by keys, w* in two directions."""
    figure = open_figure("shrinkage")
    star, minimum = figure.root.locator(".handles g").all()
    star.focus()
    for key in ("ArrowLeft", "ArrowDown", "ArrowDown"):
        figure.page.keyboard.press(key)
    minimum.focus()
    for key in ("PageUp", "ArrowRight"):
        figure.page.keyboard.press(key)
    state = compare_shrinkage(figure)
    assert (state["star"], state["lambda"]) == ([2.9, 0.8], 3.5)
    assert minimum.get_attribute("aria-valuetext") == "λ = 3.5"


def test_both_points_of_shrinkage_can_be_caught_without_a_penalty(open_figure):
    """At λ = 0 the minimum lies on w*, which is held by its name."""
    figure = open_figure("shrinkage", "#fig=shrinkage&lambda=0")
    star, minimum = figure.root.locator(".handles g").all()
    drag(figure, star, right=-60, down=30)
    state = compare_shrinkage(figure)
    assert state["lambda"] == 0
    assert state["star"][0] < 2.5
    drag(figure, minimum, right=-40, down=40)
    after = compare_shrinkage(figure)
    assert after["star"] == state["star"]
    assert after["lambda"] > 0


def test_shrinkage_follows_a_finger(open_figure):
    """On a phone the minimum can be pushed along its path."""
    figure = open_figure("shrinkage", viewport={"width": 400, "height": 800}, has_touch=True)
    swipe(figure, figure.root.locator(".handles g").nth(1), right=-30, down=30)
    assert compare_shrinkage(figure)["lambda"] > 1.2


def test_shrinkage_can_be_linked_to(open_figure):
    """The strength in a link is the nearest that the slider has."""
    figure = open_figure("shrinkage", "#fig=shrinkage&lambda=0.3&star=2,-1")
    state = compare_shrinkage(figure)
    assert state["star"] == [2, -1]
    assert state["lambda"] == pytest.approx(0.28)
    mended = open_figure("shrinkage", "#fig=shrinkage&lambda=-3&star=1,2,3").state()
    assert (mended["lambda"], mended["star"]) == (0, [3, 1])


def compare_dropout(figure):
    """Compare what is shown with PyTorch's layer, by its definition and over all masks."""
    state = figure.state()
    a, w = (
        torch.tensor(
            figure.page.evaluate(CONSTANT, [figure.address, "dropout", name]), dtype=torch.float64
        )
        for name in ("A", "W")
    )
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(a, torch.rand(10, generator=generator, dtype=torch.float64))
    assert torch.equal(w, torch.randn(10, generator=generator, dtype=torch.float64))
    squash = torch.sigmoid if state["output"] == "sigmoid" else lambda z: z
    keep, training = state["keep"], state["mode"] == "train"

    def output(masks):
        return squash((masks * a / keep) @ w) if training else squash(w @ a).expand(len(masks))

    # PyTorch's layer gives the same for its own masks, whichever they are.
    layer = nn.Dropout(1 - keep).train(training)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        thinned = layer(a.expand(20, 10))
    assert torch.allclose(squash(thinned @ w), output((thinned != 0).double()))
    masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=10)), dtype=torch.float64)
    chance = keep ** masks.sum(1) * (1 - keep) ** (10 - masks.sum(1))
    mean = chance @ output(masks)
    variance = chance @ output(masks) ** 2 - mean**2
    found, right, whole = figure.rows()
    assert right == pytest.approx([mean.item(), variance.item()], abs=5.1e-4)
    assert whole[0] == pytest.approx(squash(w @ a).item(), abs=5.1e-4)
    if state["draws"]:
        drawn = [figure.call("maskOf", j + 1, keep) for j in range(state["draws"])]
        values = output(torch.tensor(drawn, dtype=torch.float64))
        assert found == pytest.approx(
            [values.mean().item(), values.var(correction=0).item()], abs=5.1e-4
        )
        # The share of kept units is what was asked for, within five standard deviations.
        share = torch.tensor(drawn, dtype=torch.float64).mean().item()
        assert abs(share - keep) < 5 * (keep * (1 - keep) / (10 * state["draws"])) ** 0.5 + 1e-9
    mask = torch.tensor([state["mask"]], dtype=torch.float64)
    shown = figure.root.locator("g.drawn text", has_text="output ").first.text_content()
    assert number(shown.split()[-1]) == pytest.approx(output(mask).item(), abs=5.1e-4)
    return state


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
def test_dropout_follows_the_mouse(output, open_figure):
    """Units are switched, masks drawn, and the keep probability changed."""
    figure = open_figure("dropout")
    figure.root.locator(f"input[value={output}]").check()
    assert compare_dropout(figure)["mask"] == [1, 1, 0, 1, 1, 1, 0, 1, 1, 1]
    figure.root.locator(".handles g").nth(3).click()
    assert compare_dropout(figure)["mask"] == [1, 1, 0, 0, 1, 1, 0, 1, 1, 1]
    figure.root.get_by_role("button", name="Draw a mask").click()
    figure.root.get_by_role("button", name="Draw 100").click()
    figure.root.get_by_role("button", name="Draw 100").click()
    assert compare_dropout(figure)["draws"] == 301
    figure.set("keep", 0.5)
    state = compare_dropout(figure)
    assert state["mask"] == figure.call("maskOf", 301, 0.5)
    assert "Over 301 masks" in figure.words()


def test_dropout_follows_the_keyboard(open_figure):
    """A unit is a switch, and a key switches it."""
    figure = open_figure("dropout")
    unit = figure.root.locator(".handles g").nth(2)
    unit.focus()
    assert unit.get_attribute("aria-checked") == "false"
    figure.page.keyboard.press("Space")
    assert unit.get_attribute("aria-checked") == "true"
    figure.page.keyboard.press("Tab")
    figure.page.keyboard.press("Enter")
    assert compare_dropout(figure)["mask"] == [1, 1, 1, 0, 1, 1, 0, 1, 1, 1]


def test_dropout_follows_a_finger(open_figure):
    """On a phone a unit is large enough to be met."""
    figure = open_figure("dropout", viewport={"width": 400, "height": 800}, has_touch=True)
    figure.root.locator(".handles g").nth(9).tap()
    assert compare_dropout(figure)["mask"] == [1, 1, 0, 1, 1, 1, 0, 1, 1, 0]


def test_a_click_meets_the_unit_under_it(open_figure):
    """At the edge of a unit, too, where its neighbor is not far."""
    figure = open_figure("dropout")
    before = figure.state()["mask"]
    for unit in figure.root.locator(".handles g").all():
        box = unit.bounding_box()
        figure.page.mouse.click(box["x"] + box["width"] / 2 + 12, box["y"] + box["height"] / 2)
    assert compare_dropout(figure)["mask"] == [1 - one for one in before]


def test_no_mask_is_drawn_in_evaluation(open_figure):
    """What makes masks rests, and the mask of before comes back with training."""
    figure = open_figure("dropout", "#fig=dropout&draws=10")
    mask = figure.state()["mask"]
    masks = [
        figure.root.get_by_role("button", name="Draw a mask"),
        figure.root.get_by_role("button", name="Draw 100"),
        figure.root.locator("input[data-name=keep]"),
    ]
    for mode, rests in (("eval", True), ("train", False)):
        figure.root.locator(f"input[value={mode}]").check()
        assert [one.is_disabled() for one in masks] == [rests] * 3
        units = figure.root.locator(".handles g").all()
        assert [one.is_visible() for one in units] == [not rests] * 10
    assert compare_dropout(figure)["mask"] == mask


def test_dropout_is_quiet_in_evaluation(open_figure):
    """A hundred masks give one output, that of the whole network."""
    figure = open_figure("dropout", "#fig=dropout&draws=100&keep=0.6&mask=1,0,0,0,0,0,0,0,0,0")
    assert compare_dropout(figure)["mask"] == [1] + [0] * 9
    figure.root.locator("input[value=eval]").check()
    compare_dropout(figure)
    assert figure.rows()[0][1] == 0
    assert "Evaluation" in figure.words()
    mended = open_figure("dropout", "#fig=dropout&mask=1,2,3&draws=-5&output=cosine").state()
    assert (sum(mended["mask"]), mended["draws"], mended["output"]) == (8, 0, "linear")


RUN = """
async ([place, settings, epochs]) => {
  const moons = await import(`${place}/figures/moons.js`);
  const plain = (one) => (ArrayBuffer.isView(one) ? Array.from(one) : one);
  const copy = (layer) =>
    Object.fromEntries(Object.entries(layer).map(([key, one]) => [key, plain(one)]));
  const run = moons.newRun(settings);
  const first = run.net.map(copy);
  const steps = [];
  for (let i = 0; i < epochs; i++) {
    moons.epoch(run, ({ indices, masks, loss, gradients }) => epochs > 3 ||
      steps.push({ indices, loss, masks: masks.map(plain), gradients: gradients.map(copy) }));
  }
  const data = Object.fromEntries(Object.entries(moons.data).map(([key, one]) => [key, copy(one)]));
  const right = { last: moons.newRight(run.net), best: moons.newRight(run.kept) };
  const { history, best } = run;
  return { first, steps, last: run.net.map(copy), history, best, right, data };
}
"""


def double(values):
    """Return numbers of a figure as a tensor."""
    return torch.tensor(values, dtype=torch.float64)


class Moons(nn.Module):
    """The figure's network, from the weights with which the figure begins."""

    def __init__(self, layers):
        super().__init__()
        self.linear, self.norm = nn.ModuleList(), nn.ModuleList()
        for one in layers:
            linear = nn.Linear(one["from"], one["to"], dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(double(one["W"]).view(one["from"], -1).T)
                linear.bias.copy_(double(one["b"]))
            self.linear.append(linear)
            if "gamma" in one:
                self.norm.append(nn.BatchNorm1d(one["to"], dtype=torch.float64))

    def forward(self, x, masks=None, keep=1.0):
        for i, linear in enumerate(self.linear):
            x = linear(x)
            if i < 2:
                x = torch.relu(self.norm[i](x) if self.norm else x)
                x = x if masks is None else x * masks[i] / keep
        return x


def tensors(part):
    """Return points and labels of a part of the figure's data."""
    return double(part["x"]).view(-1, 2), torch.tensor(part["y"])


@pytest.mark.parametrize(
    "settings",
    [
        {"lambda": 0, "keep": 1, "norm": "off"},
        {"lambda": 0.02, "keep": 0.7, "norm": "off"},
        {"lambda": 0.005, "keep": 0.8, "norm": "on"},
    ],
)
def test_the_network_on_the_moons_is_trained_as_pytorch_trains(settings, open_figure):
    """Each gradient, the weights after twelve steps, and the losses that the curves show."""
    figure = open_figure("moons", reduced_motion="reduce")
    run = figure.page.evaluate(RUN, [figure.address, settings, 3])
    net = Moons(run["first"])
    matrices = [one.weight for one in net.linear]
    rest = [one for one in net.parameters() if one.ndim < 2]
    optimizer = torch.optim.SGD(
        [
            {"params": matrices, "weight_decay": settings["lambda"]},
            {"params": rest, "weight_decay": 0.0},
        ],
        lr=0.1,
        momentum=0.9,
    )
    x, y = tensors(run["data"]["train"])
    assert len(run["steps"]) == 12
    for taken in run["steps"]:
        rows = torch.tensor(taken["indices"])
        masks = [double(one).view(25, -1) for one in taken["masks"]]
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x[rows], masks, settings["keep"]), y[rows])
        loss.backward()
        assert taken["loss"] == pytest.approx(loss.item(), rel=1e-9)
        for linear, found in zip(net.linear, taken["gradients"], strict=True):
            gradient = double(found["W"]).view(linear.in_features, -1)
            assert torch.allclose(gradient.T, linear.weight.grad, atol=1e-9)
            gradient = double(found["b"])
            assert torch.allclose(gradient, linear.bias.grad, atol=1e-9)
        for norm, found in zip(net.norm, taken["gradients"], strict=False):
            for name, parameter in (("gamma", norm.weight), ("beta", norm.bias)):
                gradient = double(found[name])
                assert torch.allclose(gradient, parameter.grad, atol=1e-9)
        optimizer.step()
    kept = torch.tensor([taken["masks"] for taken in run["steps"]]).double().mean().item()
    assert abs(kept - settings["keep"]) < 0.03
    for linear, found in zip(net.linear, run["last"], strict=True):
        last = double(found["W"]).view(linear.in_features, -1)
        assert torch.allclose(last.T, linear.weight, atol=1e-8)
    for norm, found in zip(net.norm, run["last"], strict=False):
        for name, statistic in (("mean", norm.running_mean), ("variance", norm.running_var)):
            assert torch.allclose(double(found[name]), statistic, atol=1e-8)
    net.eval()
    shown = run["history"][-1] | {"test": run["right"]["last"]}
    with torch.no_grad():
        for part, loss, share in (
            ("train", "train", "agreement"),
            ("heldOut", "heldOut", None),
            ("test", None, "test"),
        ):
            x, y = tensors(run["data"][part])
            scores = net(x)
            if loss:
                right = nn.functional.cross_entropy(scores, y).item()
                assert shown[loss] == pytest.approx(right, rel=1e-7)
            if share:
                right = (scores.argmax(1) == y).double().mean().item()
                assert shown[share] == pytest.approx(right)


def test_the_moons_data_are_what_the_text_says(open_figure):
    """About one training label in five is wrong, and no test label."""
    figure = open_figure("moons", reduced_motion="reduce")
    data = figure.page.evaluate(RUN, [figure.address, {"lambda": 0, "keep": 1, "norm": "off"}, 0])
    data = data["data"]
    assert (data["train"]["count"], sum(data["test"]["flipped"])) == (100, 0)
    for part in ("train", "heldOut"):
        assert 14 <= sum(data[part]["flipped"]) <= 26
    for part in data.values():
        classes = [i % 2 for i in range(part["count"])]
        wrong = [a != b for a, b in zip(part["y"], classes, strict=True)]
        assert wrong == [bool(one) for one in part["flipped"]]


def compare_moons(figure):
    """Compare the numbers in the figure's table with a run of its module."""
    state = figure.state()
    (now, best), train, held_out, agreement, test = figure.rows()
    run = figure.page.evaluate(RUN, [figure.address, state, int(now)])
    for column, (at, right) in enumerate(zip((int(now), int(best)), ("last", "best"), strict=True)):
        measured = run["history"][at]
        assert train[column] == pytest.approx(measured["train"], abs=5.1e-4)
        assert held_out[column] == pytest.approx(measured["heldOut"], abs=5.1e-4)
        assert agreement[column] == pytest.approx(100 * measured["agreement"], abs=0.51)
        assert test[column] == pytest.approx(100 * run["right"][right], abs=0.51)
    assert run["best"] == best
    return state, now


@pytest.mark.parametrize("way", ["mouse", "keyboard", "touch"])
def test_the_moons_train_under_the_hand(way, open_figure):
    """Each change trains anew, from the first epoch to the last, and the numbers are the run's."""
    figure = open_figure("moons", has_touch=way == "touch")
    slider = figure.root.locator("input[data-name=lambda]")
    norm, stop = figure.root.locator("input[value=on]").all()
    if way == "keyboard":
        slider.focus()
        for _ in range(4):
            figure.page.keyboard.press("ArrowRight")
        figure.root.locator("input[value=off]").last.focus()
        figure.page.keyboard.press("ArrowRight")
    else:
        box = slider.bounding_box()
        # The place of the fifth of eight values, half a thumb inside of the ends.
        place = {"x": 8 + (box["width"] - 16) * 4 / 7, "y": box["height"] / 2}
        (slider.tap if way == "touch" else slider.click)(position=place)
        (stop.tap if way == "touch" else stop.click)()
    figure.root.get_by_role("button", name="Train").wait_for(timeout=60_000)
    state, now = compare_moons(figure)
    assert (state["lambda"], state["stop"], state["norm"]) == (0.01, "on", "off")
    assert state["epoch"] >= now > 60
    assert not norm.is_checked()
    assert "weight decay 0.01, early stopping" in figure.words()


def test_what_is_said_of_the_moons_keeps_up(open_figure):
    """While the network trains, the sentence has the table's epoch; it is read aloud at rest."""
    figure = open_figure("moons")
    aloud = figure.root.locator("[role=status]")
    assert aloud.inner_text() == ""
    figure.root.get_by_role("button", name="Train").click()
    seen = figure.root.evaluate(
        """root => new Promise((resolve) => {
          const seen = [];
          new MutationObserver((_, observer) => {
            const now = root.querySelector(".numbers tbody td").textContent;
            const said = root.querySelector(".words").textContent;
            seen.push([now, said.match(/after (\\d+) epochs/)[1]]);
            if (seen.length < 20) return;
            observer.disconnect();
            resolve(seen);
          }).observe(root.querySelector(".words"), { childList: true });
        })"""
    )
    assert all(now == said for now, said in seen)
    assert len({now for now, _ in seen}) > 10
    assert aloud.inner_text() == ""
    figure.root.get_by_role("button", name="Pause").click()
    figure.page.wait_for_timeout(400)
    assert aloud.inner_text() == figure.words()
    compare_moons(figure)


def test_training_can_be_paused_and_linked_to(open_figure):
    """A button stops the training, and ten epochs more are ten epochs more."""
    figure = open_figure("moons")
    figure.root.get_by_role("button", name="Train").click()
    figure.page.wait_for_timeout(500)
    figure.root.get_by_role("button", name="Pause").click()
    state, now = compare_moons(figure)
    assert 0 < now == state["epoch"] < 300
    figure.root.get_by_role("button", name="Ten epochs").click()
    state, then = compare_moons(figure)
    assert then == now + 10
    link = figure.root.locator("a.state").get_attribute("href")
    again = open_figure("moons", link)
    assert (again.state(), again.rows()) == (state, figure.rows())


def test_nothing_moves_for_who_wants_no_motion(open_figure):
    """The network is trained out of sight, and its end is shown."""
    figure = open_figure("moons", reduced_motion="reduce")
    figure.page.evaluate(
        """() => {
          window.seen = new Set();
          const table = document.querySelector(".interactive .numbers");
          const see = () => window.seen.add(table.querySelector("tbody td").textContent);
          new MutationObserver(see).observe(table, { childList: true });
        }"""
    )
    figure.root.locator("input[value=on]").first.check()
    figure.page.wait_for_function(
        "document.querySelector('.interactive .numbers tbody td').textContent === '300'",
        timeout=60_000,
    )
    assert figure.page.evaluate("[...window.seen]") == ["0", "300"]
    compare_moons(figure)


def test_the_text_about_the_moons_is_true(open_figure):
    """Some settings leave the wrong labels alone, and with others nothing is learned."""
    figure = open_figure("moons", reduced_motion="reduce")
    results = {}
    for name, settings in (
        ("plain", {}),
        ("held back", {"lambda": 0.005}),
        ("too much", {"lambda": 0.1}),
    ):
        one = {"lambda": 0, "keep": 1, "norm": "off"} | settings
        results[name] = figure.page.evaluate(RUN, [figure.address, one, 300])["right"]["last"]
    assert results["plain"] < 0.85
    assert results["held back"] > 0.9
    assert results["too much"] < 0.6


def compare_decay(figure):
    """Compare the weights that are shown with those of PyTorch's optimizers for the same noise."""
    state = figure.state()
    noise = figure.page.evaluate(
        "async (place) => Array.from((await import(`${place}/figures/decay.js`)).noise)",
        figure.address,
    )
    noise = double(noise).view(1500, 2, 20)
    assert abs(noise.std().item() - 1) < 0.02
    sizes = double([[1.0], [state["size"]]])
    for name, row in zip(("SGD", "Adam", "AdamW"), figure.rows(), strict=True):
        w = torch.ones(2, 20, dtype=torch.float64, requires_grad=True)
        optimizer = getattr(torch.optim, name)([w], lr=0.001, weight_decay=state["lambda"])
        for step in range(state["step"]):
            w.grad = noise[step] * sizes
            optimizer.step()
        assert row == pytest.approx(w.detach().mean(1).tolist(), abs=5.1e-4), name
    pure = (1 - 0.001 * state["lambda"]) ** state["step"]
    caption = figure.root.locator("caption").inner_text()
    assert number(caption.split()[-1]) == pytest.approx(pure, abs=5.1e-4)
    return state


def test_decay_follows_mouse_and_keyboard(open_figure):
    """Strength, size and step change the paths, by pointer and by keys."""
    figure = open_figure("decay")
    assert compare_decay(figure) == {"lambda": 0.5, "size": 0.01, "optimizer": "Adam", "step": 1500}
    slider = figure.root.locator("input[data-name=step]")
    slider.click(position={"x": slider.bounding_box()["width"] / 2, "y": 8})
    assert 600 < compare_decay(figure)["step"] < 900
    figure.root.locator("input[data-name=size]").focus()
    for _ in range(6):
        figure.page.keyboard.press("ArrowRight")
    figure.root.locator("input[value=SGD]").check()
    state = compare_decay(figure)
    assert (state["size"], state["optimizer"]) == (1, "SGD")


def test_decay_follows_a_finger_and_a_link(open_figure):
    """On a phone, and from a link to a state."""
    figure = open_figure(
        "decay",
        "#fig=decay&lambda=2.2&size=0.1&optimizer=RMSprop&step=777",
        viewport={"width": 400, "height": 800},
        has_touch=True,
    )
    state = compare_decay(figure)
    assert state == {"lambda": 2, "size": 0.1, "optimizer": "Adam", "step": 780}
    slider = figure.root.locator("input[data-name=lambda]")
    slider.tap(position={"x": 2, "y": 8})
    assert compare_decay(figure)["lambda"] == 0


def test_the_text_about_decay_is_true(open_figure):
    """Two optimizers go down the diagonal, Adam does not, and a larger λ hardly changes that."""
    figure = open_figure("decay")
    sgd, adam, adamw = figure.rows()
    for first, second in (sgd, adamw):
        assert abs(first - second) < 0.05
    assert adam[0] - adam[1] > 0.25
    set_range(figure.root, "lambda", 5)
    assert compare_decay(figure)["lambda"] == 1
    assert abs(figure.rows()[1][1] - adam[1]) < 0.05
    set_range(figure.root, "lambda", 4)
    set_range(figure.root, "size", 6)
    assert max(map(max, figure.rows())) - min(map(min, figure.rows())) < 0.1


def compare_axes(figure):
    """Compare the outputs that are shown with those of PyTorch's layers."""
    state = figure.state()
    x = double(state["x"]).view(4, 4, 3)
    layers = {
        "batch": nn.BatchNorm1d(4),
        "layer": nn.LayerNorm([4, 3]),
        "instance": nn.InstanceNorm1d(4),
        "group": nn.GroupNorm(2, 4),
        "rms": nn.RMSNorm([4, 3], eps=1e-5),
    }
    y = layers[state["norm"]].double()(x).detach()
    shown = double(figure.call("normalized", state)).view(4, 4, 3)
    assert torch.allclose(shown, y, atol=1e-9)
    # What a raised number changes is what the figure says it changes.
    i = state["at"]
    raised = x.flatten().clone()
    raised[i] += 1
    changed = (layers[state["norm"]](raised.view(4, 4, 3)).detach() - y).abs().flatten() > 1e-9
    assert figure.call("together", state, i) == changed.int().tolist()
    words = figure.words()
    count = re.search(r"over (\d+) numbers", words)
    assert int(count[1]) == changed.sum().item()
    out = number(re.search(r"becomes (\S+\d)", words)[1])
    assert out == pytest.approx(y.flatten()[i].item(), abs=5.1e-3)
    return state


@pytest.mark.parametrize("norm", ["batch", "layer", "instance", "group", "rms"])
def test_axes_follow_mouse_keyboard_and_finger(norm, open_figure):
    """The block that a number shares its statistics with is PyTorch's, for each layer."""
    figure = open_figure("axes", has_touch=True)
    figure.root.locator(f"input[value={norm}]").check()
    compare_axes(figure)
    figure.root.locator(".handles g").nth(17).click()
    assert compare_axes(figure)["at"] == 17
    figure.root.locator(".handles g").nth(30).tap()
    assert compare_axes(figure)["at"] == 30
    figure.root.locator("input[data-name=at]").focus()
    figure.page.keyboard.press("ArrowRight")
    set_range(figure.root, "value", 4)
    state = compare_axes(figure)
    assert (state["at"], state["x"][31]) == (31, 4)


def test_a_number_can_be_chosen_anywhere_in_its_cell(open_figure):
    """Also beside its digits."""
    figure = open_figure("axes")
    box = figure.root.locator(".handles g").nth(30).bounding_box()
    figure.page.mouse.click(box["x"] + 4, box["y"] + box["height"] / 2)
    assert compare_axes(figure)["at"] == 30


def test_axes_can_be_linked_to(open_figure):
    """A state comes back from its link, and nonsense is mended."""
    state = open_figure("axes", "#fig=axes&norm=group&at=5").state()
    assert (state["norm"], state["at"]) == ("group", 5)
    state = open_figure("axes", "#fig=axes&norm=<i>&at=99&x=1,2").state()
    assert (state["norm"], state["at"], len(state["x"])) == ("batch", 47, 48)


def test_a_figure_that_is_not_there_is_told(tmp_path):
    """A typing error in a chapter stops the build, in which warnings are errors."""
    (tmp_path / "conf.py").write_text("extensions = ['myst_parser', 'interactive']\n")
    (tmp_path / "index.md").write_text("# Page\n\n```{interactive} shrinkag\nText.\n```\n")
    application = SphinxTestApp("html", tmp_path, builddir=tmp_path / "build")
    try:
        application.build()
        assert "There is no book/figures/shrinkag.js." in application.warning.getvalue()
    finally:
        application.cleanup()


def test_a_module_that_draws_nothing_says_why(tmp_path, monkeypatch):
    """Whoever writes a figure sees the error of its module."""
    shutil.copy(interactive.FIGURES / "kit.js", tmp_path)
    (tmp_path / "broken.js").write_text("export const panels = () => nobody;\n")
    monkeypatch.setattr(interactive, "FIGURES", tmp_path)
    with pytest.raises(RuntimeError, match="nobody is not defined"):
        interactive.draw("broken")
