"""Settings for all tests, and the browser in which some look at pages."""

import shutil

import pytest
import torch
from hypothesis import settings

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

NEED_BROWSER = {"browser", "site", "pages", "address"}
"""Fixtures of tests that look at pages."""

TOGETHER = {
    "site": (
        "tests/book/test_pages",
        "tests/book/test_directives",
        "tests/book/test_interactive",
        "tests/book/test_no_solutions",
        "tests/book/test_questions",
    ),
    "course": ("tests/course/",),
}
"""Files that share something which takes long to make: the built book, a graded course."""

SPREAD = ("tests/book/experiments/",)
"""Files of long tests that share nothing."""

LONGEST = (
    "tests/book/",
    "tests/attacks/",
    "tests/grading/",
    "tests/course/",
    "tests/platforms/",
    "tests/intake/",
)
"""What several processes should begin with, so that none of them waits for it at the end."""

# Threads that wait for each other on a busy machine take longer than the work.
torch.set_num_threads(1)

# The same examples each time: a failure can be repeated, and none comes by chance.
settings.register_profile("steady", derandomize=True, deadline=None, database=None)
settings.load_profile("steady")


def pytest_collection_modifyitems(items):
    """Mark what needs a browser, and put what takes longest first."""
    for item in items:
        if NEED_BROWSER & set(item.fixturenames):
            item.add_marker("browser")
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file in one process, and those of some files, which share a fixture."""
    from xdist.scheduler import LoadFileScheduling

    class ByFixture(LoadFileScheduling):
        def _split_scope(self, nodeid):
            if nodeid.startswith(SPREAD):
                return nodeid
            file = super()._split_scope(nodeid)
            return next((name for name, some in TOGETHER.items() if file.startswith(some)), file)

    config.option.loadscopereorder = False
    return ByFixture(config, log)


@pytest.fixture(scope="session")
def browser():
    """Start the machine's Chromium, or fail and say what to install."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.fail(
            "This test needs a browser: install Chromium "
            "(Debian, Ubuntu: apt install chromium; or Google Chrome from its maker)."
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()
