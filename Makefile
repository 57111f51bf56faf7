# Every target makes .venv from the lock first; that is instant when it is already done.
.DEFAULT_GOAL := help
.PHONY: help demo test test-long check ui bench docs lock

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
# The instance lives in this folder (see dagster.yaml); nothing is sent anywhere.
export DAGSTER_HOME ?= $(CURDIR)
export MLFLOW_DISABLE_TELEMETRY ?= true

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

demo: $(READY) ## Phantoms -> harmonized labels -> image store -> split -> checkpoint -> report (CXR_NIH_ROOT=<dir>: real NIH)
	@$(BIN)/cxr demo

# One thread per test process: two processes with two threads each wait for each other.
test: $(READY) $(READY)-realdata ## Run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not long"

test-long: $(READY) $(READY)-realdata ## Run the tests that take long
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m long

check: $(READY) ## Lint, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

ui: $(READY) ## Dagster and MLflow on 127.0.0.1
	@$(BIN)/cxr ui

# gpu.py wants a GPU, real_nih.py a folder: run these by hand.
bench: $(READY) $(READY)-realdata ## Run the benchmarks, print their ratios
	@for b in $(filter-out benchmarks/gpu.py benchmarks/real_nih.py,$(wildcard benchmarks/*.py)); do echo "== $$b"; $(BIN)/python $$b || exit 1; done

docs: $(READY) ## Write the generated pages of docs/ again
	@$(BIN)/python -c "from cxr_pipeline.tables.catalogue import describe_tables; print(describe_tables(), end='')" >docs/tables.md
	@$(BIN)/python -c "from cxr_pipeline.labels.overview import describe_labels; print(describe_labels(), end='')" >docs/labels.md

lock: ## Resolve requirements.lock again from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-annotate --no-emit-index-url \
		--custom-compile-command "make lock" -o requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "cxr_pipeline needs Python 3.11 or newer; found $$($(or $(PYTHON),python3) --version 2>&1). Install one," \
	"or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned versions into .venv (about 7 GB with torch, a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Real metadata of NIH and CheXpert, for the tests of published counts: only its data files are read.
$(READY)-realdata: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps torchxrayvision==1.5.7
	@touch $@
