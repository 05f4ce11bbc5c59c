# Every target sets up what it needs first, and tells what it does.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

BIN := .venv/bin
# Tests start hundreds of processes: each would compile anew all of ours that it imports.
unexport PYTHONDONTWRITEBYTECODE
# More processes than most machines have cores: most of what takes long is waiting, and each starts a world of its own.
PYTEST := $(BIN)/pytest -n 4 --dist loadgroup --no-loadscope-reorder
ALL_OF_IT := CRASH_POINTS=all MANY_WAITS=1000
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --no-annotate -p 3.11 \
           $(if $(UPGRADE),--upgrade)
SCENARIO ?=
ARGS ?=

.PHONY: help demo up test test-all test-rest test-crash check lint bench lock docs pictures set-up clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' \
	  | while IFS=$$'\t' read -r target text; do printf '  make %-11s %s\n' "$$target" "$$text"; done

demo: ## Play an outage and its rollback in a sandbox (SCENARIO=name for another story)
	@.ci/set-up demo $(SCENARIO)
	@$(BIN)/runbook demo $(SCENARIO)

up: ## Start the sandbox and keep it until Ctrl-C
	@.ci/set-up demo
	@$(BIN)/runbook up

test: set-up ## Check the code, then run the tests (ARGS="-k rollback" for some of them)
	@failed=; $(MAKE) lint || failed=1; \
	if [ -n "$$failed" ]; then echo 'check failed, see above; the tests run anyway'; fi; \
	$(PYTEST) -m "not rare" $(ARGS) || failed=1; \
	[ -z "$$failed" ]

test-all: set-up ## Everything: make test, with a kill at every event, a thousand waits, every story and more
	@$(MAKE) lint
	@$(ALL_OF_IT) $(PYTEST) $(ARGS)

test-rest: set-up ## What test-all does and make test does not
	@$(ALL_OF_IT) $(PYTEST) -m "rare or grows" $(ARGS)

test-crash: set-up ## Kill the worker and the server at every event of every procedure
	@$(ALL_OF_IT) $(PYTEST) tests/crash $(ARGS)

check: set-up lint ## Lint, types, arrows, and what is deployed; no test of behaviour
	@$(BIN)/pytest -q tests/unit/test_deploy.py tests/unit/test_repository.py

lint:
	@failed=; \
	part() { \
	  printf '  %-14s' "$$1"; shift; \
	  if out=$$("$$@" 2>&1); then echo ok; else echo FAILED; echo "$$out"; failed=1; fi; \
	}; \
	part 'ruff check' $(BIN)/ruff check --quiet .; \
	part 'ruff format' $(BIN)/ruff format --quiet --check .; \
	part 'mypy' $(BIN)/mypy; \
	part 'lint-imports' $(BIN)/lint-imports; \
	part 'import cycles' $(BIN)/lint-imports --config .import-cycles.ini; \
	[ -z "$$failed" ]

bench: set-up ## Run every benchmark; each prints a table and writes JSON
	@for benchmark in $$(compgen -G 'bench/[a-z]*.py'); do echo "== $$benchmark"; $(BIN)/python "$$benchmark"; done

docs: set-up ## Write the pages of docs/reference anew from the code
	@$(BIN)/python -m docs.writing

pictures: set-up ## Make the pictures of the README anew, from a real run
	@$(BIN)/python -m docs.writing.pictures

lock: set-up ## Lock the dependencies anew (UPGRADE=1 to take newer versions)
	@$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.lock >/dev/null
	@$(COMPILE) pyproject.toml -o requirements/runtime.lock >/dev/null
	@$(COMPILE) pyproject.toml --extra dev -o requirements/dev.lock >/dev/null
	@git diff --stat -- requirements

set-up: ## Bring this machine to where the tests can run
	@.ci/set-up test

clean: ## Remove what was built, measured or cached; the next command sets up again
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
