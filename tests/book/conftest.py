"""Build the book once, and open it in a browser."""

import fcntl
import functools
import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book" / "_ext")]


@pytest.fixture(scope="session")
def root():
    """Return the project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the book with warnings as errors and return the folder of its pages.

    The usual output folder and its execution cache are used, so that only chapters that changed
    are run again.
    """
    # The program beside this interpreter, whether or not the environment is activated.
    program = Path(sys.executable).with_name("jupyter-book")
    # A file and not a pipe, which would stay open as long as any process of a failed build lives.
    log = tmp_path_factory.mktemp("book") / "build.log"
    (ROOT / "_build").mkdir(exist_ok=True)
    with log.open("w") as stream, (ROOT / "_build" / ".lock").open("w") as lock:
        # Two builds at once would write into each other's files.
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [program, "build", ".", "-W", "-n", "--keep-going"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            timeout=1400,
            check=False,
        )
    assert done.returncode == 0, f"the book does not build:\n{log.read_text()}"
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def pages(site):
    """Return the built pages of the book as a dict from name to file."""
    files = {
        path.relative_to(site).with_suffix("").as_posix(): path
        for folder in ("book", "exercises")
        for path in sorted((site / folder).rglob("*.html"))
    }
    assert "book/index" in files
    return files


@pytest.fixture
def on_each_page(pages, address, browser):
    """Return a function that runs a script on each page at some width, and keeps what it finds."""

    def ask(script, width):
        page = browser.new_page(viewport={"width": width, "height": 900})
        found = {}
        for name in pages:
            page.goto(f"{address}/{name}.html", wait_until="load")
            if answer := page.evaluate(script):
                found[name] = answer
        page.close()
        return found

    return ask


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serve files without a line of log for each."""

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="session")
def address(site):
    """Serve the site on this machine and return its address."""
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
