# `make help` lists the targets. Needs Python 3.11+ and make; brings its own uv when there is none.

.DEFAULT_GOAL := help
.PHONY: help install dev web web-check pictures test check format-check lint contracts types fmt bench lock build clean chromium

# Whatever the shell says, bytecode is kept: without it every process of the tests compiles two thousand modules anew.
unexport PYTHONDONTWRITEBYTECODE

# Which Python the environment is made of, in uv's words: a version, a range or a path.
PYTHON ?= >=3.11
# More words for pytest, for example `make test PYTEST_ARGS="-k append -x"`.
PYTEST_ARGS ?=
# More words for the benchmark; `make bench BENCH_ARGS=--help` lists them.
BENCH_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard src tests bench)

# A uv that verifies the hashes of build requirements too; else the pinned one, in an environment of its own.
OWN_UV := .venv-tools/bin/uv
UV := $(shell uv pip install --help 2>/dev/null | grep -q -- --build-constraint && command -v uv || echo $(OWN_UV))
NEED_UV := $(filter $(OWN_UV),$(UV))

# The tests drive npm clients with the Node of the machine or, where there is none of 20 or newer, with one from a wheel.
NODE_MAJOR := $(shell node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p')
NEED_NODE := $(shell test "$(or $(NODE_MAJOR),0)" -ge 20 && command -v npm >/dev/null || echo yes)

WITH_NODE := $(if $(NEED_NODE),PATH="$(CURDIR)/$(BIN):$$PATH")
BUILD_WEB := $(WITH_NODE) web/scripts/build.sh $(CURDIR)/$(BIN)/python
CHROMIUM := $(shell command -v chromium)

# The stamps bear the checksum of everything that decides what is installed, so nothing is installed twice.
KEY := $(shell cat pyproject.toml requirements.lock requirements-dev.lock requirements-build.lock requirements-node.lock | cksum | tr -d ' ')
RUNTIME := $(VENV)/.runtime-$(KEY)
DEVELOPMENT := $(VENV)/.development-$(KEY)

INSTALL_PERDURE = $(UV) pip install --quiet --python $(BIN)/python --no-deps --build-constraints requirements-build.lock -e .
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header $(if $(UPGRADE),--upgrade)

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(DEVELOPMENT)  ## Install everything for development into .venv
	@:

# A machine without npm's registry gets a server without a dashboard, not none.
dev: $(RUNTIME)  ## Run a server with an embedded PostgreSQL on http://127.0.0.1:4000
	@$(BUILD_WEB) || echo "The dashboard could not be built; the server runs without it." >&2
	@exec $(BIN)/perdure dev

web: install  ## Build the dashboard into the package, where something of it has changed
	@$(BUILD_WEB)

web-check: web  ## Format, rules and types of the dashboard
	cd web && $(WITH_NODE) npm run --silent check

pictures: install web chromium  ## Take the pictures of the dashboard in docs/img
	$(BIN)/pytest -q tests/browser/pictures.py

test: install web chromium  ## Install what is needed and run the tests
	$(BIN)/pytest -n 2 --dist worksteal --inline-snapshot=disable $(PYTEST_ARGS)

check: format-check lint contracts types web-check test  ## The gate: format, lint, import contracts, types, tests

format-check: install  ## Is the code formatted?
	$(BIN)/ruff format --check .

lint: install  ## Rules of style and likely bugs
	$(BIN)/ruff check .

contracts: install  ## Who may import whom
	$(BIN)/lint-imports

types: install  ## Strict types, tests included
	$(BIN)/mypy $(SOURCES)

fmt: web  ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd web && $(WITH_NODE) npm run --silent format

bench: install  ## Measure, and write bench/results.md
	$(BIN)/python -m bench $(BENCH_ARGS)

lock: $(NEED_UV)  ## Write the lock files anew (UPGRADE=1 for the newest versions)
	$(LOCK) --group build -o requirements-build.lock
	$(LOCK) --group node -o requirements-node.lock
	$(LOCK) --group dev --extra evals --extra temporal pyproject.toml -o requirements-dev.lock
	$(LOCK) -c requirements-dev.lock --extra evals --extra temporal pyproject.toml -o requirements.lock

build: web $(NEED_UV)  ## Build the wheel and the source archive into dist/
	$(UV) build --build-constraints requirements-build.lock --require-hashes

clean:  ## Remove environments, caches and builds; keeps .perdure/, the data of `make dev`
	rm -rf .venv .venv-tools dist web/node_modules web/.made src/perdure/http/dashboard/static .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The tests drive the dashboard in Debian's browser. Where it cannot be installed they say so and are skipped.
chromium:
	$(if $(CHROMIUM),@:,@test "$$(id -u)" != 0 || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) >/dev/null || true)

# A running server is not disturbed: what is installed and right stays, only the stamp of the other key goes.
$(RUNTIME): | $(BIN)/python
	$(UV) pip install --python $(BIN)/python --require-hashes -r requirements.lock
	$(INSTALL_PERDURE)
	@rm -f $(VENV)/.runtime-* $(VENV)/.development-* && touch $@

$(DEVELOPMENT): | $(BIN)/python
	$(UV) pip sync --python $(BIN)/python --require-hashes requirements-dev.lock
	$(if $(NEED_NODE),$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-node.lock)
	$(INSTALL_PERDURE)
	@rm -f $(VENV)/.runtime-* $(VENV)/.development-* && touch $(RUNTIME) $@

$(BIN)/python: | $(NEED_UV)
	$(UV) venv --quiet --clear --python '$(PYTHON)' $(VENV)

# Only uv's own lines of the lock: the rest of it is for building.
$(OWN_UV): requirements-build.lock
	@python3 -m venv --clear .venv-tools || { echo "Install uv, or Python's venv (Debian, Ubuntu: python3-venv)." >&2; exit 1; }
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-build.lock > .venv-tools/uv.lock
	.venv-tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv-tools/uv.lock
	@touch $@
