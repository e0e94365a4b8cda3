# `make app` and `make test` are all that one needs: each first makes its own environment in .venv.

.PHONY: app lab test bench bench-gpu clean lint format-check types floors unit notebook docs ui wheel
.DEFAULT_GOAL := app

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for name in python3.11 python3; do $$name $(NEW_ENOUGH) 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest --quiet -p no:cacheprovider

app: $(READY)
	@$(BIN)/lens app $(OPTIONS)

lab: $(READY)
	@$(BIN)/lens lab $(OPTIONS)

test: $(READY)
	@begin=$$(date +%s); \
	for step in lint format-check types floors unit notebook docs ui wheel; do \
		echo "== $$step"; $(MAKE) --no-print-directory $$step || exit 1; \
	done; \
	echo "== all passed in $$(($$(date +%s) - begin)) seconds"

lint: $(READY)
	@$(BIN)/ruff check --quiet .

format-check: $(READY)
	@$(BIN)/ruff format --check --quiet .

types: $(READY)
	@$(BIN)/mypy

floors: $(READY)
	@$(BIN)/lint-imports --no-logo

unit: $(READY)
	@$(PYTEST) -n 2 tests/unit tests/gpu tests/benchmarks tests/contracts tests/oracle tests/architecture

notebook: $(READY)
	@$(PYTEST) tests/notebooks

docs: $(READY)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@$(PYTEST) -n 2 tests/docs

# A browser on a busy machine can miss a beat: a test that failed is run once more, and named if it then passed.
ui: $(READY)
	@$(BIN)/python tests/ui/_browser.py || $(BIN)/playwright install chromium
	@$(PYTEST) --reruns 1 -r R tests/ui

wheel: $(READY)
	@rm -rf dist
	@said=$$($(BIN)/python -m build --wheel --no-isolation 2>&1) || { echo "$$said" >&2; exit 1; }
	@$(PYTEST) tests/wheel

bench: $(READY)
	@$(BIN)/python -m benchmarks $(OPTIONS)

bench-gpu: $(READY)
	@$(BIN)/python -m benchmarks --device cuda $(OPTIONS)

# The compiler of the wheel comes first and pinned, so that nothing is fetched behind the constraints' back.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "lens needs Python 3.11 or newer; there is none here (or say which: make PYTHON=…)." >&2; exit 1; }
	@echo "Making the environment in .venv (a few minutes the first time) …"
	@$(PYTHON) -m venv .venv
	@$(PIP) --upgrade pip
	@$(PIP) hatchling editables setuptools wheel
	@$(PIP) --no-build-isolation --group test --group docs --editable .
	@touch $@

clean:
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
