# Every target is complete by itself: it sets up what it needs, and only what is missing or changed.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
STATIC := src/evertick/web/static/dist/manifest.json
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install demo test test-long test-thorough test-tools lint lint-deploy format wheel bench bench-serve bench-sources bench-memory bench-desks bench-engines scale soak calendars requirements clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

.venv/base: requirements/base.txt requirements/build.txt pyproject.toml
	@echo "Setting up .venv (once) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Evertick needs Python 3.11 or later; name one with: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/base.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

.venv/dev: .venv/base requirements/dev.txt
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(STATIC): .venv/base frontend/package-lock.json frontend/build.mjs $(wildcard frontend/src/* frontend/src/*/*) scripts/build_assets.py
	@$(BIN)/python scripts/build_assets.py pages

.venv/catalogues: .venv/base $(wildcard src/evertick/reports/locale/*/LC_MESSAGES/*.po) src/evertick/reports/render/cldr.py scripts/build_assets.py
	@$(BIN)/python scripts/build_assets.py catalogues
	@touch $@

install: .venv/base $(STATIC) .venv/catalogues  ## Set up .venv with the package and its page assets

demo: install  ## Run the main job against the bundled simulator: no server, key or internet needed
	@exec $(BIN)/evertick demo

# Python programs that tests and benchmarks run beside Evertick, each in an environment of its own
.venv/s3 .venv/peers .venv/engines .venv/deploy .venv/calendars: .venv/%: requirements/%.txt
	@$(PYTHON) -m venv --clear $@
	@$@/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<

test: install .venv/dev .venv/s3 test-tools  ## Run every test (real Redis, PostgreSQL and browser; installed if missing)
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-long: install .venv/dev .venv/s3 test-tools  ## Run the tests that take minutes each and that `make test` leaves out
	@$(BIN)/python -m pytest -m long --timeout 1200 $(ARGS)

test-thorough: install .venv/dev  ## Damage the answers of every provider in thousands of ways and read them
	@HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n 2 --dist worksteal --timeout 600 tests/unit/sources $(ARGS)

test-tools:
	@scripts/test_tools

lint: install .venv/dev  ## Check style, types and the contract between the layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

lint-deploy: .venv/deploy  ## Hold the Containerfile and the Kubernetes example against hadolint and the schemas of Kubernetes
	@.venv/deploy/bin/hadolint deploy/containers/Containerfile
	@.venv/deploy/bin/kubernetes-validate --strict deploy/kubernetes/evertick.yaml

format: .venv/dev
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format --quiet .

wheel: install .venv/dev  ## Build dist/*.whl and dist/*.tar.gz, page assets included
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null
	@ls -1 dist

bench-engines: install .venv/engines test-tools  ## Hold eight job engines against one another, on servers of their own (15 minutes)
	@$(BIN)/python benchmarks/engines/trial.py $(ARGS)

soak: install test-tools  ## Play 30 days of the server with faults, readers included, and judge its memory (nightly; ARGS="--days 7")
	@$(BIN)/evertick soak --days 30 --faults $(ARGS)

bench-desks: install .venv/dev test-tools  ## A thousand desks: reports a second by workers, what one costs, what idle desks cost (10 minutes)
	@$(BIN)/python benchmarks/desks.py $(ARGS)

bench-memory: install .venv/dev  ## What receipts cost, and what 30 days of runs with failing providers leave behind (10 minutes)
	@$(BIN)/python benchmarks/memory.py $(ARGS)

bench: install .venv/dev .venv/peers .venv/s3 test-tools  ## One table of our figures beside their peers and limits (15 to 20 minutes; ARGS=--quick for a short look)
	@$(BIN)/python benchmarks $(ARGS)

scale: install .venv/dev test-tools  ## Plot how it grows: instruments, archived reports, readers, stream clients, into docs/figures (20 minutes)
	@$(BIN)/python benchmarks/scale.py $(ARGS)

bench-serve: install .venv/dev test-tools  ## Measure a running server from outside: start, memory, latency (ARGS="--servers" for Redis and PostgreSQL)
	@$(BIN)/python benchmarks/serve.py $(ARGS)

calendars: .venv/calendars  ## Write the holidays of the exchanges anew, before a release
	@PYTHONPATH=src .venv/calendars/bin/python scripts/build_calendars.py

bench-sources: install .venv/dev test-tools  ## Measure a refresh against its bare requests, heap under broken answers, a backfill (ARGS="--only history")
	@$(BIN)/python benchmarks/sources.py $(ARGS)

requirements: .venv/dev  ## Resolve and pin the requirements anew
	@scripts/lock

clean:  ## Remove what the targets made, the data of the demo excepted
	@rm -rf .venv dist frontend/node_modules src/evertick/web/static/dist
	@find src -name "*.mo" -delete -o -name cldr.json -delete
