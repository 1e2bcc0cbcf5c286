# Commands for people. Everything is installed into .venv, pinned and checked by hash.
#   make demo    a sandbox shop becomes lists, segments and metrics        (start here)
#   make test    the whole test suite, on a real PostgreSQL
#   make test-fast  the tests that need no database
#   make up      the Dagster UI and daemon, until Ctrl-C  (SANDBOX=1: with the sandbox shop)
#   make check-cluster  runs on several machines: Celery workers in network namespaces; needs root
#   make check   lint, types, import rules, dbt parse, definitions
#   make bench   the project's own benchmarks
#   make docs    docs/cli.md, made from the command line itself

PYTHON ?= python3
BIN := .venv/bin
RUNTIME := .venv/.installed
SANDBOX_SHOP := .venv/.installed-sandbox
DEV := .venv/.installed-dev
CLUSTER := .venv/.installed-cluster
# Of tests. One more than cores: some wait for processes, browsers and locks.
WORKERS ?= $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)")
SANDBOX ?=
UI_PORT ?= 3000

.PHONY: demo test test-fast up check check-cluster bench docs install constraints format clean

demo: $(SANDBOX_SHOP)
	@$(BIN)/cscart-pipelines demo

test: $(DEV)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: $(DEV)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile cscart_pipelines_tests/unit $(ARGS)

up: $(if $(SANDBOX),$(SANDBOX_SHOP),$(RUNTIME))
	@$(BIN)/cscart-pipelines up --port $(UI_PORT) $(if $(SANDBOX),--sandbox)

check: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models
	@$(BIN)/dbt --quiet parse --no-partial-parse --project-dir dbt_project --profiles-dir dbt_project
	@$(BIN)/dg check defs > /dev/null
	@echo "all checks passed"

check-cluster: $(CLUSTER)
	@$(BIN)/python -m pytest cscart_pipelines_tests/cluster $(ARGS)

bench: $(DEV)
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(RUNTIME)
	@$(BIN)/python -m cscart_pipelines.cli.reference > docs/cli.md.new && mv docs/cli.md.new docs/cli.md

install: $(RUNTIME)

# Every package of a constraints file with its hash, without looking for others: what is not listed is
# not installed. The project itself comes last, in place. constraints-sandbox.txt and constraints-dev.txt
# hold the packages of the files before them too, in the same versions.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

$(RUNTIME): constraints.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it with PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a minute or two, once)"
	@$(INSTALL) --require-hashes -r constraints.txt
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

$(SANDBOX_SHOP): constraints-sandbox.txt $(RUNTIME)
	@echo "installing the sandbox shop's data"
	@$(INSTALL) --require-hashes -r constraints-sandbox.txt
	@touch $@

$(DEV): constraints-dev.txt $(SANDBOX_SHOP)
	@echo "installing the tools of the tests"
	@$(INSTALL) --require-hashes -r constraints-dev.txt
	@touch $@

$(CLUSTER): constraints-cluster.txt $(DEV)
	@echo "installing the run launchers for several machines"
	@$(INSTALL) --require-hashes -r constraints-cluster.txt
	@touch $@

# Writes the constraints files anew from pyproject.toml, runtime first: what it pins, the others pin too.
COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-header --no-annotate --quiet pyproject.toml
constraints: $(RUNTIME)
	@$(BIN)/python -m pip install --quiet uv
	@$(COMPILE) --extra install -o constraints.txt
	@$(COMPILE) --extra install --extra sandbox -c constraints.txt -o constraints-sandbox.txt
	@$(COMPILE) --extra install --extra dev -c constraints-sandbox.txt -o constraints-dev.txt
	@$(COMPILE) --extra install --extra celery --extra k8s -c constraints-dev.txt -o constraints-cluster.txt

format: $(DEV)
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

clean:
	rm -rf .venv .cscart-pipelines dbt_project/target dbt_project/logs .pytest_cache .mypy_cache .ruff_cache
