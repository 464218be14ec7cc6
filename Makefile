# Everything a newcomer needs: `make run` starts a whole city. `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
WORKERS ?= 2
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
BIN := .venv/bin

.PHONY: help run install install-dev test proof check bench docs lock clean

help: ## Show what there is to do
	@echo "make <target> · 常用命令"; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo; echo "  DEMO=off make run    areas alone instead of a furnished demo city"; echo "  PORT_BASE=9000 VAR_DIR=var-south CITY=440300 make run    a second city beside the first"
	@echo "  LIANDONG_POSTGRES_URL=… LIANDONG_REDIS_URL=… make run    servers of your own"

run: install ## Run a whole city until Ctrl-C: databases, broker, every service
	@exec $(BIN)/liandong up

install: ## Make .venv and install what requirements.lock pins
	@$(PYTHON) ops/install.py requirements.lock

install-dev: ## The same with what tests and checks need
	@$(PYTHON) ops/install.py requirements-dev.lock

test: install-dev ## Every test with seeded samples, on two cores (8 minutes at most)
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

proof: install-dev ## The full counts: every fault, every property run; as long as it takes
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "proof or not proof" -o faulthandler_timeout=7200 $(TESTS)

check: install-dev ## Format, lint, types, import rules, migrations in step with models, docs in step with settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m ops.check

bench: install-dev ## Benchmarks, each beside its peer, printed as ratios
	@exec $(BIN)/python -m bench

docs: install-dev ## Write the pages that follow from the code (docs/settings.md)
	@$(BIN)/python -m ops.check --write

lock: install-dev ## Write the lock files anew after a change of pyproject.toml
	@for extra in "" "--extra dev"; do $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
		$$extra pyproject.toml -o requirements$${extra:+-dev}.lock || exit 1; done

clean: ## Remove the environment, caches and the data of the default city (var/)
	@if [ -e var/run.json ]; then $(BIN)/liandong status >/dev/null 2>&1; [ $$? -ne 4 ] && { echo "A city is running in var/. Stop it first (Ctrl-C)."; exit 1; }; fi; \
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache var
