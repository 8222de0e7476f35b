# `make help` lists the targets. The first one that needs Python makes .venv, which takes a few
# minutes; it is made again only when pyproject.toml has changed.
#
#   make test PYTEST_ARGS="-k poisson -x"     more arguments for pytest
#   make test PYTHON=/path/to/python3.13      a Python of your choice (3.12 to 3.14)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-slow test-oldest lint bench sbc docs dist clean

VENV := .venv
VENV_OLDEST := .venv-oldest
BIN := $(VENV)/bin
PYTHON ?=
PYTEST_ARGS ?=
SBC_ARGS ?=
MARK ?= not slow
# Tests of the source archive that `make dist` runs against the installed wheel.
DIST_TESTS ?= tests/datasets/test_data.py tests/families/test_families.py tests/estimation/test_flexmix_reference.py tests/storage/test_storage.py tests/cli/test_cli_fit.py

# Prints the first Python 3.12 to 3.14 that runs and can make a virtual environment. Every folder
# of PATH is tried, not only the first hit: a pyenv shim may stand for a version that is not
# selected here and then fails. After PATH come the versions pyenv has installed, wherever it keeps
# them: PYENV_ROOT, `pyenv root`, next to a shims folder on PATH, or the user's home.
define FIND_PYTHON
works() {
    "$$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 14))' \
        >/dev/null 2>&1
}
path_folders() { printf '%s\n' "$$PATH" | tr ':' '\n'; }
on_path() {
    for name in python3.12 python3.13 python3.14 python3 python; do
        path_folders | while IFS= read -r folder; do printf '%s\n' "$$folder/$$name"; done
    done
}
pyenv_roots() {
    [ -z "$$PYENV_ROOT" ] || printf '%s\n' "$$PYENV_ROOT"
    pyenv root 2>/dev/null
    path_folders | sed -n 's|/shims/*$$||p'
    for home in "$$HOME" "$$(eval "printf '%s' ~$$(id -un)")"; do printf '%s\n' "$$home/.pyenv"; done
}
in_pyenv() {
    for version in 3.12 3.13 3.14; do
        pyenv_roots | while IFS= read -r root; do
            for found in "$$root/versions/$$version"*/bin/python3; do printf '%s\n' "$$found"; done
        done
    done
}
{ on_path; in_pyenv; } | {
    while IFS= read -r candidate; do
        if [ -x "$$candidate" ] && works "$$candidate"; then
            printf '%s\n' "$$candidate"
            exit 0
        fi
    done
    echo "No working Python 3.12, 3.13 or 3.14 with venv was found on PATH or under pyenv." >&2
    echo "Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
}
endef
export FIND_PYTHON

# $(call make-venv,folder)
define make-venv
@python="$(PYTHON)"; \
[ -n "$$python" ] || python=$$(sh -c "$$FIND_PYTHON") || exit 1; \
echo "Making $(1) with $$python ($$("$$python" --version))"; \
"$$python" -m venv --clear $(1) || { rm -rf $(1); exit 1; }
endef

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(call make-venv,$(VENV))

# .venv/.installed-run, -test, -dev and -docs say which extras are in the environment.
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".$(if $(filter run,$*),,[$*])"
	@echo "Compiling the kernels of bayesmix, once on this machine (a few minutes)"
	@$(BIN)/python -c "import bayesmix.kernels; bayesmix.kernels.warm()"
	@touch $@

demo: $(VENV)/.installed-run ## fit the shipped examples; tables and pictures go to demo-output/
	$(BIN)/bayesmix demo --out demo-output --force

test: $(VENV)/.installed-test ## the fast tests, on all cores
	$(BIN)/python -m pytest -n auto --dist loadfile -m "$(MARK)" $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-test ## the slow tests only: MCMC, large data
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

$(VENV_OLDEST)/bin/python:
	$(call make-venv,$(VENV_OLDEST))

$(VENV_OLDEST)/.installed: pyproject.toml requirements-oldest.txt | $(VENV_OLDEST)/bin/python
	$(VENV_OLDEST)/bin/python -m pip install --quiet --editable ".[test]" --constraint requirements-oldest.txt
	@touch $@

test-oldest: $(VENV_OLDEST)/.installed ## the fast tests with the lowest versions allowed
	$(VENV_OLDEST)/bin/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev ## ruff (rules and format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy bayesmix

bench: $(VENV)/.installed-test ## run every script in benchmarks/ (names with a leading _ are helpers)
	@set -- $$(ls benchmarks/[!_]*.py 2>/dev/null); \
	[ $$# -gt 0 ] || { echo "There is no benchmark yet: benchmarks/ holds no script."; exit 1; }; \
	for script; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

sbc: $(VENV)/.installed-docs ## simulation-based calibration: 200 data sets each of ten kinds of models
	$(BIN)/python -m benchmarks.trust.sbc $(SBC_ARGS)
	$(BIN)/python -m benchmarks.trust.sbc --planted $(SBC_ARGS)

docs: $(VENV)/.installed-docs ## build the documentation into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

dist: $(VENV)/.installed-dev ## build the wheel and the source archive into dist/, and try both
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	.ci/try-dist $(BIN)/python $(DIST_TESTS)

clean: ## remove everything made here, the environments included
	rm -rf $(VENV) $(VENV_OLDEST) build dist demo-output docs/_build docs/generated
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
