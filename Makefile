# Everything starts here. `make up` runs the product, `make test` proves it; both do their own set-up.

VENV := .venv
PY := $(VENV)/bin/python
# The first Python that is new enough; PYTHON=/path/to/python3.12 make up chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help up demo test lint types bench clean

help: ## Show these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

# `exec` puts the supervisor in the shell's place, so that Ctrl-C and SIGTERM reach it directly.
up: $(VENV)/installed ## Run everything: database, web server, worker; Ctrl-C stops it
	@exec $(PY) manage.py up

demo: $(VENV)/installed ## The same, filled with 90 days of demo data
	@exec $(PY) manage.py up --demo

# pytest comes last: its closing line is the verdict. Tests that boot the product share one of its processes.
test: lint types ## Pass all tests
	@$(PY) -m pytest -n auto --maxprocesses 4 --dist loadgroup $(PYTEST)

lint: $(VENV)/installed-for-tests ## Check style
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --quiet --check . || { echo "Run: $(PY) -m ruff format ."; exit 1; }

types: $(VENV)/installed-for-tests ## Check types
	@$(PY) -m mypy

bench: $(VENV)/installed-for-tests ## Measure speed beside its floors
	@exec $(PY) -m tests.bench

clean: ## Remove what set-up made; the data folder stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Stamps: done once, and again only when the list of packages changes.
$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "Breakeven needs Python 3.11 or newer; none was found on the PATH."; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"; exit 2; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/made requirements.txt
	@echo "Installing the packages into $(VENV) (once)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/installed-for-tests: $(VENV)/installed tests/requirements.txt
	@echo "Installing the test tools into $(VENV) (once)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@
