# Commands for people. Everything is installed into .venv, pinned and checked by hash.
#   make demo    a sandbox shop becomes lists, segments and metrics        (start here)
#   make test    the whole test suite, on a real PostgreSQL
#   make up      the Dagster UI and daemon, until Ctrl-C  (SANDBOX=1: with the sandbox shop)
#   make check   lint, types, import rules, dbt parse, definitions
#   make bench   the project's own benchmarks
#   make docs    docs/cli.md, made from the command line itself

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
WORKERS ?= 2
SANDBOX ?=
UI_PORT ?= 3000

.PHONY: demo test up check bench docs install constraints format clean

demo: $(STAMP)
	@$(BIN)/cscart-pipelines demo

test: $(STAMP)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

up: $(STAMP)
	@$(BIN)/cscart-pipelines up --port $(UI_PORT) $(if $(SANDBOX),--sandbox)

check: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models
	@$(BIN)/dbt --quiet parse --no-partial-parse --project-dir dbt_project --profiles-dir dbt_project
	@$(BIN)/dg check defs > /dev/null
	@echo "all checks passed"

bench: $(STAMP)
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(STAMP)
	@$(BIN)/python -m cscart_pipelines.cli.support.reference > docs/cli.md.new && mv docs/cli.md.new docs/cli.md

install: $(STAMP)

# Every package in constraints.txt with its hash, without looking for others: what is not listed is
# not installed. The project itself comes last, in place.
$(STAMP): constraints.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

# Writes constraints.txt anew from pyproject.toml; for whoever maintains the versions.
constraints:
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --extra dev --quiet pyproject.toml -o constraints.txt

format: $(STAMP)
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

clean:
	rm -rf .venv .cscart-pipelines dbt_project/target dbt_project/logs .pytest_cache .mypy_cache .ruff_cache
