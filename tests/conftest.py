"""Settings for all tests, and the browser in which some look at pages."""

import shutil

import pytest
import torch

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

NEED_BROWSER = {"browser", "site", "pages", "address"}
"""Fixtures of tests that look at pages."""

NEED_SITE = {"site", "pages", "address"}
"""Fixtures of tests that look at the built book."""

# Threads that wait for each other on a busy machine take longer than the work.
torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what needs a browser, and keep together in one process what shares a fixture.

    That is all that needs the built book; else the tests of one file.
    """
    for item in items:
        fixtures = set(item.fixturenames)
        if fixtures & NEED_BROWSER:
            item.add_marker("browser")
        if fixtures & NEED_SITE:
            item.add_marker(pytest.mark.xdist_group("site"))
        elif item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


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
