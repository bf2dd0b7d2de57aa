# Thin: what happens is in the commands named here.

PYTHON ?= python3
PORT ?= 8000
JOBS ?= 2
# One more index for pip, such as that of PyTorch's builds for processors.
INDEX ?=
# Tools of the environment that other tools call by name: node, alembic.
RUN = PATH="$(CURDIR)/.venv/bin:$$PATH"
SETUP = .venv/.complete
BOOK = _build/.complete
BOOK_SOURCES = $(shell find book exercises tests/helpers/own_task -type f -not -path '*/__pycache__/*' 2>/dev/null) \
	$(shell find autograder -name '*.py') setup.py _config.yml _toc.yml pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help setup demo test evidence bench book pdf serve notebooks fingerprints lint clean

help: ## print this list
	@awk -F ': .*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(SETUP) ## make .venv with everything the course needs (INDEX=... for one more index of packages)

demo: $(SETUP) ## grade a sample class in demo/ and show it, then build the site
	@command -v bwrap >/dev/null || scripts/system_packages.sh bubblewrap libseccomp2 || true
	@$(RUN) .venv/bin/python -m autograder.demo
	@$(MAKE) --no-print-directory -q $(BOOK) || \
		echo "Building the site, which runs the code of every chapter: some minutes."
	@$(MAKE) --no-print-directory $(BOOK)
	@echo "Site      _build/html/index.html, or: make serve"

test: $(SETUP) ## run the tests; installs Chromium and bubblewrap where that needs no password
	@for browser in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$browser >/dev/null && exit 0; done; scripts/system_packages.sh chromium
	@command -v bwrap >/dev/null || scripts/system_packages.sh bubblewrap libseccomp2
	@$(RUN) .venv/bin/python -m pytest -m "not evidence" -n $(JOBS) --max-worker-restart 0

evidence: $(SETUP) ## run the long measurements
	@$(RUN) .venv/bin/python -m pytest -m evidence -s -o faulthandler_timeout=0

bench: $(SETUP) ## measure grading beside stock nbgrader; under 10 minutes
	@$(RUN) .venv/bin/python -m benchmarks.bench

book: $(SETUP) ## build the site into _build/html
	@$(RUN) .venv/bin/jupyter-book build . -W -n --keep-going
	@touch $(BOOK)

pdf: $(SETUP) ## print the whole book into _build/book.pdf
	@$(RUN) .venv/bin/jupyter-book build . --builder singlehtml -W -n --keep-going
	@.venv/bin/python scripts/print_book.py

serve: $(BOOK) ## show the site on http://localhost:8000 (PORT=... for another port)
	@.venv/bin/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

notebooks: $(SETUP) ## make the students' notebooks from exercises/*/*.py again
	@$(RUN) .venv/bin/python -m autograder.intake.exercise

fingerprints: $(SETUP) ## make the tables of wrong programs again, after a change of a task's cases
	@$(RUN) PYTHONPATH=tests:. OMP_NUM_THREADS=1 .venv/bin/python -m mutants.table

lint: $(SETUP) ## look for faults without running anything
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@$(RUN) .venv/bin/lint-imports --no-logo

clean: ## remove what make has made; course/ stays
	rm -rf .venv _build demo evidence build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache \
		.import_linter_cache

$(BOOK): $(SETUP) $(BOOK_SOURCES)
	@$(MAKE) --no-print-directory book

$(SETUP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 setup" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/system_packages.sh python3-venv
	@echo "Making .venv with everything the course needs: about three minutes, most of it downloads."
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install -q --disable-pip-version-check $(if $(INDEX),--extra-index-url "$(INDEX)") \
		-r requirements.txt
	@.venv/bin/python -m pip install -q --disable-pip-version-check \
		--no-deps --no-build-isolation -e .
	@touch $@
