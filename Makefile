# The commands of the project: `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
# The peers of the benchmarks: an environment of its own that sees the product's packages too, which saves 2.5 GB.
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed
SITE_PACKAGES := -c "import sysconfig; print(sysconfig.get_path('purelib'))"
TOOLS_VENV := .venv-tools
TOOLS_STAMP := $(TOOLS_VENV)/.installed
LOCKS := requirements.lock requirements-dev.lock requirements-bench.lock requirements-tools.lock
PIP := -m pip install --quiet --disable-pip-version-check
# A lock is complete and has the hash of every file. torch differs from index to index: it is installed by its version, and
# finds what it needs of the lock already there.
HASHED := $(PIP) --require-hashes --no-deps
# Parallel workers of a test run; each has PostgreSQL, Valkey and models of its own, up to 6 GiB of memory.
WORKERS ?= 2
TORCH := $(shell grep '^torch==' requirements.txt)

.PHONY: help run test check fuzz lock audit licences map hooks bench install install-dev openapi
.DEFAULT_GOAL := run

$(STAMP): requirements.txt requirements.lock
	@echo "Installing (once per lock; a few minutes)..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(HASHED) -r requirements.lock
	@$(BIN)/python $(PIP) "$(TORCH)"
	@touch $(STAMP)

$(DEV_STAMP): $(STAMP) requirements-dev.lock
	@$(BIN)/python $(HASHED) -r requirements-dev.lock
	@touch $(DEV_STAMP)

$(BENCH_STAMP): $(DEV_STAMP) requirements-bench.lock
	@test -x $(BENCH_VENV)/bin/python || $(BIN)/python -m venv $(BENCH_VENV)
	@$(BIN)/python $(SITE_PACKAGES) > "$$($(BENCH_VENV)/bin/python $(SITE_PACKAGES))/product.pth"
	@$(BENCH_VENV)/bin/python $(HASHED) -r requirements-bench.lock
	@touch $(BENCH_STAMP)

$(TOOLS_STAMP): requirements-tools.lock
	@test -x $(TOOLS_VENV)/bin/python || $(PYTHON) -m venv $(TOOLS_VENV)
	@$(TOOLS_VENV)/bin/python $(HASHED) -r requirements-tools.lock
	@touch $(TOOLS_STAMP)

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1|\2/p' Makefile | while IFS='|' read -r name does; do printf '  %-12s %s\n' "$$name" "$$does"; done

install: $(STAMP)  ## install what the product needs

install-dev: $(DEV_STAMP)  ## install what checks and tests need, too

run: $(STAMP)  ## start the product, and install it before the first time
	@exec $(BIN)/python manage.py up

test: $(DEV_STAMP)  ## all tests; ARGS="tests/knowledge" a part, WORKERS=0 in one process
	@$(BIN)/python -m tests.prepare
	@$(BIN)/python -m pytest -n $(WORKERS) --durations=25 $(ARGS)

check: $(DEV_STAMP)  ## lint, types, layers, migrations, deployment settings, generated documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy nlpsuite apps
	$(BIN)/lint-imports
	DB_ROLE=app_owner $(BIN)/python manage.py makemigrations --check --dry-run
	PUBLIC_URL=https://check.example $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py openapi --check
	$(BIN)/python -m tools.licences --check
	$(BIN)/python -m tools.map --check

openapi: $(DEV_STAMP)  ## write docs/openapi.json
	$(BIN)/python manage.py openapi

licences: $(DEV_STAMP)  ## write docs/licences.md
	$(BIN)/python -m tools.licences

map: $(DEV_STAMP)  ## write docs/map.md
	$(BIN)/python -m tools.map

# Before a commit, git then runs what `make check` runs on the changed files (.pre-commit-config.yaml).
hooks: $(TOOLS_STAMP) $(DEV_STAMP)  ## check changed files before each commit
	$(TOOLS_VENV)/bin/pre-commit install

lock: $(TOOLS_STAMP)  ## write the lock files again; ARGS=--upgrade takes newer versions
	$(TOOLS_VENV)/bin/python -m tools.lock $(ARGS)

audit: $(TOOLS_STAMP)  ## ask the package index for known vulnerabilities
	$(TOOLS_VENV)/bin/python -m tools.audit $(LOCKS)

# The same number sends the same requests again.
fuzz: $(DEV_STAMP)  ## REQUESTS=20000 random requests to all routes and pages
	$(BIN)/python -m pytest tests/fuzz -s --requests $(or $(REQUESTS),20000)

bench: $(BENCH_STAMP)  ## measure beside peers; SUITE=ingest one suite
	$(BIN)/python -m bench $(if $(SUITE),--suite $(SUITE)) $(ARGS)
