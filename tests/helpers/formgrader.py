"""A Jupyter server with formgrader, started in the folder of a course, and requests to it."""

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request

from helpers.courses import ENVIRONMENT

OPTIONS = (
    "--no-browser",
    "--allow-root",
    "--port=0",
    "--ServerApp.token=",
    "--ServerApp.password=",
    "--ServerApp.disable_check_xsrf=True",
    "--ServerApp.jpserver_extensions=nbgrader.server_extensions.formgrader=True",
)


@contextlib.contextmanager
def formgrader(course, folder=None):
    """Run a server, in a course's folder or another; yields the address of formgrader's API."""
    folder = folder or course.config_file.parent
    log = folder / "server.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *OPTIONS],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=file,
            stderr=file,
        )
    try:
        yield f"{_address(server, log)}/formgrader/api"
    finally:
        server.terminate()
        server.wait()


def _address(server, log):
    """Return the address that a server writes into its log, once somebody answers there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        for found in re.findall(r"http://127\.0\.0\.1:\d+", log.read_text()):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{found}/api", timeout=30):
                return found
        time.sleep(0.1)
    raise AssertionError(f"No server started: {log.read_text()[-2000:]}")


def get(address):
    """Return what a server answers, from JSON."""
    with urllib.request.urlopen(address, timeout=60) as reply:
        return json.load(reply)


def post(address):
    """Press a button of formgrader; return what it answers, from JSON."""
    request = urllib.request.Request(address, method="POST", data=b"")
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)
