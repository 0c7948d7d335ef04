# A Machine That Writes: `make` lists what can be made.
#
# What may be set, on the command line or in the environment:
#   PYTHON      the Python that .venv is made with (3.11 or later)
#   PIP_ARGS    added to every `pip install`, a mirror for example
#   TORCH_ARGS  added where torch alone is installed, such as the index of its CPU build
#   PORT        where `make serve` listens
#   FUZZ_EXAMPLES  how many inputs `make fuzz` tries on each reader

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:

PYTHON ?= python3
PIP_ARGS ?=
TORCH_ARGS ?=
PORT ?= 8000
FUZZ_EXAMPLES ?= 20000

VENV := .venv
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip install --disable-pip-version-check $(PIP_ARGS)
PYTEST := $(RUN) -m pytest -ra
INSTALLED := $(VENV)/.installed

# The book is built anew when one of these files changed; the list itself is part of the
# stamp's name, so that a file that came or went counts too.
BOOK_SOURCES := $(sort $(wildcard _config.yml _toc.yml benchmarks/results/*) \
	$(shell find book handwriting_lib -type f -not -path '*/__pycache__/*'))
BOOK_STAMP := _build/.book-$(firstword $(shell printf '%s' '$(BOOK_SOURCES)' | cksum))
INDEX := _build/html/book/index.html

.PHONY: help
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' \
		$(firstword $(MAKEFILE_LIST))

.PHONY: book
book: $(BOOK_STAMP)  ## Build the book and print the path of its index page
	@echo "The book is built. Its index page:"
	@echo "$(CURDIR)/$(INDEX)"

.PHONY: serve
serve: book  ## Build the book and serve it at http://localhost:8000 (PORT=...)
	@echo "The book is at http://localhost:$(PORT) (stop with Ctrl-C)"
	@exec $(RUN) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

.PHONY: test
test: lint types stale browser $(BOOK_STAMP)  ## Lint, types, what may be stale, the book, the tests
	@# most of the browser's tests look at the clock, so they run one by one
	@failed=0; set -x; \
	$(PYTEST) --timeout 900 -m "book and not (notebooks or unhurried)" || \
		failed=1; \
	$(PYTEST) --timeout 900 -n 2 --dist worksteal \
		-m "(not book or unhurried) and not notebooks" || failed=1; \
	{ set +x; } 2>/dev/null; exit $$failed

.PHONY: test-notebooks
test-notebooks: $(INSTALLED)  ## Run each notebook alone in an empty folder: ten minutes
	$(PYTEST) --timeout 1800 tests/book/test_notebooks.py

.PHONY: check
check: lint types  ## Lint, types and the fast tests, in under three minutes
	$(PYTEST) --timeout 120 -m "not slow and not book"

.PHONY: fuzz
fuzz: $(INSTALLED)  ## Try 20,000 inputs on every reader of outside data: half an hour
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(PYTEST) --timeout 7200 --durations=0 -p no:logging \
		tests/test_readers.py

.PHONY: mutants
mutants: $(INSTALLED)  ## Change 300 places one by one; list those that no test notices: hours
	$(RUN) tests/mutants.py --resume

.PHONY: kills
kills: $(INSTALLED)  ## Kill a training fifty times and compare it with an unbroken one
	KILLS=50 $(RUN) -m pytest -ra --timeout 3600 tests/training/test_loop.py -k outlives

.PHONY: notebooks
notebooks: $(INSTALLED)  ## Write notebooks/ from book/
	$(RUN) book/_tools/write_notebooks.py

.PHONY: results
results: $(INSTALLED)  ## Write the pages of results and speed from benchmarks/results/
	$(RUN) book/_tools/write_results.py

.PHONY: screenshots
screenshots: $(INSTALLED) browser  ## Pictures of every widget in _build/screenshots
	$(RUN) book/_tools/widget_screenshots.py

.PHONY: clean
clean:  ## Remove what was built and the caches, but not .venv
	rm -rf _build build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The parts of `check` and `test`.

.PHONY: lint
lint: $(INSTALLED)
	$(RUN) -m ruff check .
	$(VENV)/bin/lint-imports --no-cache

.PHONY: types
types: $(INSTALLED)
	$(RUN) -m mypy

.PHONY: stale
stale: $(INSTALLED)
	$(RUN) book/_tools/write_notebooks.py --check
	$(RUN) book/_tools/write_results.py --check
	$(RUN) book/_tools/diagrams.py --check

# The browser tests drive Debian's chromium. Where there is none and it may not be
# installed, they skip and say why.
.PHONY: browser
browser:
	@missing() { ! command -v chromium || ! command -v chromedriver; } >/dev/null; \
	if ! missing; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
		echo "There is no chromium with its driver; the browser tests will skip."; exit 0; \
	fi; \
	as_root=(env); \
	if [ "$$(id -u)" != 0 ]; then \
		if sudo -n true 2>/dev/null; then as_root=(sudo -n env); else \
			echo "There is no chromium with its driver; the browser tests will skip." \
				"To run them: sudo apt-get install chromium chromium-driver"; \
			exit 0; \
		fi; \
	fi; \
	echo "Installing chromium and chromium-driver for the browser tests"; \
	apt=("$${as_root[@]}" DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -o DPkg::Lock::Timeout=300); \
	{ "$${apt[@]}" update && "$${apt[@]}" install -y --no-install-recommends \
		chromium chromium-driver; } </dev/null >/dev/null || true; \
	if missing; then \
		echo "chromium could not be installed; the browser tests will skip."; \
	fi

# Files.

$(BOOK_STAMP): $(INSTALLED) $(BOOK_SOURCES)
	rm -f _build/.book-*
	$(RUN) book/_tools/build_book.py
	@test -f $(INDEX) || { echo "the build left no $(INDEX)" >&2; exit 1; }
	@touch $@

# torch comes first and by itself: whoever wants its CPU build names an index for it
# alone, and what follows finds it in place.
$(INSTALLED): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): run" \
		"'sudo apt-get install python3 python3-venv', then make again." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
		"$(PYTHON) is $$($(PYTHON) -V 2>&1), but requirements.txt needs Python 3.11 or" \
		"later: install one and name it, as in 'make PYTHON=python3.12'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
		"$(PYTHON) cannot make virtual environments: run" \
		"'sudo apt-get install python3-venv', then make again." >&2; exit 1; }
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing into $(VENV); torch is the large part, and this happens once"
	$(INSTALL) $(TORCH_ARGS) "$$(grep '^torch==' requirements.txt)"
	$(INSTALL) -r requirements.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@rm -rf handwriting_lib.egg-info
	@$(RUN) -m pip check
	@touch $@
