# `make` lists the targets. Everything happens in .venv, installed from the lock files.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/installed: requirements.lock pyproject.toml
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: install
install: $(VENV)/installed  ## make .venv and .venv/bin/haat from requirements.lock

.PHONY: demo
demo: install  ## the whole exchange on real traffic, everything embedded; FOR=30s ends by itself
	$(BIN)/haat demo $(if $(FOR),--for $(FOR))

.PHONY: check
check: $(VENV)/installed-dev  ## format, lint, types, import contracts, quick tests: under a minute
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n auto --dist loadfile -m "not slow"

.PHONY: format
format: $(VENV)/installed-dev  ## put the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: test
test: $(VENV)/installed-dev  ## all tests
	$(BIN)/pytest -n auto --dist loadfile

.PHONY: simulate
simulate: $(VENV)/installed-dev  ## kill the exchange at its write points and audit the money: KILLS=500 SEED=1
	$(BIN)/python -m tests.simulation.kills --kills $(or $(KILLS),500) --seed $(or $(SEED),1)

.PHONY: bench
bench: $(VENV)/installed-dev  ## benchmarks as ratios to a raw gRPC echo; writes bench/results.json (QUICK=1: a glimpse)
	$(BIN)/python -m bench $(if $(QUICK),--quick)

.PHONY: train
train: install  ## train the click model from the logged data into models/
	$(BIN)/haat train

.PHONY: protos
protos: $(VENV)/installed-dev  ## make the stubs in protos/ again
	$(BIN)/python -m grpc_tools.protoc -I. -I$$($(BIN)/python -c "import google.rpc, os; print(os.path.dirname(os.path.dirname(next(iter(google.rpc.__path__)))))") \
	  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	  --python_out=. --grpc_python_out=. --mypy_out=quiet:. --mypy_grpc_out=quiet:. protos/*.proto

.PHONY: lock
lock: $(VENV)/installed-dev  ## resolve the dependencies again into both lock files
	$(BIN)/pip-compile $(LOCK) --extra install --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile $(LOCK) --extra install --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
LOCK := --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.PHONY: clean
clean:  ## remove what runs have written under var/, never the environment
	rm -rf var build
