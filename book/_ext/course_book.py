"""Compute Sphinx settings of the book."""

import hashlib
import os
import time
import tomllib
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
from myst_nb.core.read import is_myst_markdown_notebook

# Besides their own code, the results of the chapters depend on their experiments and on these.
BOOK = Path(__file__).parents[1]
ROOT = BOOK.parent
LIBRARIES = ("matplotlib", "numpy", "scikit-learn", "torch")
# The chapters that run longest, most of all the first. They begin, so that no core is idle while
# another one is still at work on them.
LONGEST = ("practice", "norms", "dropout")


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


def project():
    """Return what `pyproject.toml` says of the project."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def addresses():
    """Return the project's addresses by name."""
    return project().get("urls", {})


def footer():
    """Return what stands under each page: version, date and licenses."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    day = datetime.fromtimestamp(seconds, tz=UTC)
    return (
        f"Version {project()['version']}, built on {day:%B} {day.day}, {day.year}. "
        'Text and figures: <a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>. '
        "Code: MIT License."
    )


def configure(app, config):
    """Fill in the settings that depend on this machine or on other settings."""
    cache = Path(app.outdir).parent / ".jupyter_cache" / cache_key()
    config.nb_execution_cache_path = str(cache)
    config.html_theme_options["extra_footer"] = footer()
    repository = addresses().get("Repository", "").rstrip("/")
    if repository:
        config.html_theme_options["repository_url"] = repository
        config.html_theme_options["use_repository_button"] = True
        config.html_theme_options["use_issues_button"] = True


def longest_first(pages):
    """Return pages in the order in which they are run."""
    last = len(LONGEST)
    places = {name: place for place, name in enumerate(LONGEST)}
    return sorted(pages, key=lambda page: (places.get(page.stem, last), page.stem))


def execute_chapters(app):
    """Run the code of changed chapters in parallel and store the results in the execution cache.

    MyST-NB would run them one after the other, but now finds all results there. It runs a chapter
    that fails here again, and reports the error.
    """
    cache = get_cache(app.config.nb_execution_cache_path)
    chapters = [
        str(page)
        for page in longest_first(BOOK.glob("*.md"))
        if is_myst_markdown_notebook(page.read_text(encoding="utf-8"))
    ]
    for chapter in chapters:
        cache.add_nb_to_project(chapter, read_data={"type": "plugin", "name": "myst_nb_md"})
    executor = load_executor("local-parallel", cache)
    executor.run_and_cache(filter_uris=chapters, timeout=app.config.nb_execution_timeout)


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("config-inited", configure)
    app.connect("builder-inited", execute_chapters)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
