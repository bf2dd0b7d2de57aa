"""Settings for all tests, and the browser in which some look at pages."""

import shutil

import pytest
import torch

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Threads that wait for each other on a busy machine take longer than the work.
torch.set_num_threads(1)


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
