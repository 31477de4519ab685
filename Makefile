# make run   start a relay on 127.0.0.1:2525 with a place for the mail to go (ONCE=1: send three messages and exit)
# make test  set everything up and run the tests
# make docs  write docs/plugins/API.md anew from the docstrings of mta.plugin, and docs/performance.md from the figures beside it
# make performance  measure, and write docs/performance.md and its charts from that; bench-full: with all that takes long
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Most tests wait for a server, so more run at a time than there are processors. In their order the longest come early.
# `make test PARALLEL=` runs them in one process.
PARALLEL := -n 4 --dist loadfile --no-loadscope-reorder

.PHONY: run test test-all lint docs bench bench-smoke bench-full performance clean

run: $(READY)
	@$(BIN)/python bin/haraka demo $(if $(ONCE),--once)

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

test-all: $(VENV)/.ready-fuzz
	$(BIN)/python -m pytest $(PARALLEL)

lint: $(VENV)/.ready-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict --explicit-package-bases plugins
	$(BIN)/mypy --strict --explicit-package-bases docs/examples
	$(BIN)/mypy --strict docs/plugin-template/haraka_helo_names

# The pages that are made from docstrings and from figures.
docs: $(VENV)/.ready-test
	$(BIN)/python -m tests.support.api_page
	$(BIN)/python -m tests.bench.page

bench: $(VENV)/.ready-bench
	$(BIN)/python -m tests.bench $(ARGS)

# Does every kind of row run? Two minutes, and nothing is said about time.
bench-smoke: $(VENV)/.ready-bench
	$(BIN)/python -m tests.bench --smoke $(ARGS)

# What was measured stands in FIGURES until the page is written; ARGS as for `make bench`.
FIGURES := tests/bench/.work/figures.json
performance: $(VENV)/.ready-bench
	@mkdir -p $(dir $(FIGURES))
	$(BIN)/python -m tests.bench $(ARGS) --json $(FIGURES)
	$(BIN)/python -m tests.bench.page $(FIGURES)

bench-full: override ARGS += --long
bench-full: performance

$(READY): setup.py mta/version.py
	@echo 'setting up $(VENV) ...'
	@$(PYTHON) -m venv $(VENV)
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.ready-test: $(READY)
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

$(VENV)/.ready-bench: $(VENV)/.ready-test
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,bench]'
	@touch $@

$(VENV)/.ready-fuzz: $(VENV)/.ready-test
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,fuzz]'
	@touch $@

$(VENV)/.ready-lint: $(VENV)/.ready-test
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
