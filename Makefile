# Thin: what happens is in the commands named here.

PYTHON ?= python3
PORT ?= 8000
# Tools of the environment that other tools call by name: node, alembic.
RUN = PATH="$(CURDIR)/.venv/bin:$$PATH"
SETUP = .venv/.complete
BOOK = _build/.complete
BOOK_SOURCES = $(shell find book exercises -type f -not -path '*/__pycache__/*' 2>/dev/null) \
	$(wildcard autograder/*.py autograder/tasks/*.py) _config.yml _toc.yml

.DEFAULT_GOAL := help
.PHONY: help setup demo test evidence bench book serve notebooks lint clean

help: ## print this list
	@awk -F ': .*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(SETUP) ## make .venv with everything the course needs

demo: $(SETUP) $(BOOK) ## build the site, then fill demo/ with a sample class and grade it
	@command -v bwrap >/dev/null || scripts/system_packages.sh bubblewrap libseccomp2 || true
	@$(RUN) .venv/bin/python -m autograder.demo

test: $(SETUP) ## run the tests
	@for browser in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$browser >/dev/null && exit 0; done; scripts/system_packages.sh chromium
	@command -v bwrap >/dev/null || scripts/system_packages.sh bubblewrap libseccomp2
	@$(RUN) .venv/bin/python -m pytest -m "not evidence"

evidence: $(SETUP) ## run the long measurements
	@$(RUN) .venv/bin/python -m pytest -m evidence -s

bench: $(SETUP) ## measure grading beside stock nbgrader; under 10 minutes
	@$(RUN) .venv/bin/python -m benchmarks.bench

book: $(SETUP) ## build the site into _build/html
	@$(RUN) .venv/bin/jupyter-book build . -W -n --keep-going
	@touch $(BOOK)

serve: $(BOOK) ## show the site on http://localhost:8000 (PORT=... for another port)
	@.venv/bin/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

notebooks: $(SETUP) ## make the students' notebooks from exercises/*/*.py again
	@$(RUN) .venv/bin/python -m autograder.intake.exercise

lint: $(SETUP) ## look for faults without running anything
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

clean: ## remove what make has made; course/ stays
	rm -rf .venv _build demo evidence build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache

$(BOOK): $(SETUP) $(BOOK_SOURCES)
	@$(MAKE) --no-print-directory book

$(SETUP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 setup" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/system_packages.sh python3-venv
	@echo "Making .venv; the first time this takes some minutes."
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --disable-pip-version-check -r requirements.txt
	@.venv/bin/python -m pip install -q --disable-pip-version-check \
		--no-deps --no-build-isolation -e .
	@touch $@
