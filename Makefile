# `make` lists the targets. Everything happens in .venv, installed from the lock files.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

$(VENV)/installed: requirements.lock pyproject.toml
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: install
install: $(VENV)/installed  ## make .venv and .venv/bin/haat from requirements.lock

.PHONY: demo
# Its processes run one program, which only the first of them compiles, whatever the environment says.
demo: export PYTHONDONTWRITEBYTECODE :=
demo: install  ## the whole exchange on real traffic; FOR=30s ends by itself, PROFILE=cluster runs it on the real engines
	$(BIN)/haat demo $(if $(FOR),--for $(FOR)) $(if $(PROFILE),--profile $(PROFILE))

.PHONY: check check-style check-types check-tests
check: $(VENV)/installed-dev  ## format, lint, types, import contracts, quick tests: about a minute, three when it is the first
	@$(MAKE) --no-print-directory --jobs --keep-going --output-sync=target check-style check-types check-tests

# What is compiled, of tests too, is kept for the next time, whatever the environment says.
check-style check-types check-tests: export PYTHONDONTWRITEBYTECODE :=
check-style:
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports

check-types:
	$(BIN)/mypy .

# Thousands of small databases are written: in memory where there is room for them.
IN_MEMORY = $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 4000000 {print "/dev/shm"}')
check-tests:
	@folder=$$(mktemp -d -p "$(or $(IN_MEMORY),$(TMPDIR),/tmp)") && trap 'rm -rf "$$folder"' EXIT && set -x && \
		QUICK=1 $(BIN)/pytest --basetemp=$$folder/tests -q -n auto --dist loadfile -m "not slow and not services" \
		tests/contracts tests/tidy tests/unit

.PHONY: format
format: $(VENV)/installed-dev  ## put the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: test
test: $(VENV)/installed-dev  ## all tests
	$(BIN)/pytest -n auto --dist loadfile

.PHONY: test-again
test-again: $(VENV)/installed-dev  ## the tests that failed last time, one after the other and nothing beside them
	$(BIN)/pytest --last-failed --last-failed-no-failures none

.PHONY: services
services:  ## install and start Elasticsearch, Kafka, Redis and PostgreSQL on loopback, under var/services
	$(PYTHON) -m services start

.PHONY: services-stop
services-stop:  ## stop the engines that `make services` started; their data stays
	$(PYTHON) -m services stop

.PHONY: services-test
services-test: $(VENV)/installed-dev  ## the tests on the real engines alone
	$(BIN)/pytest -q -m services

.PHONY: browser-test
browser-test: $(VENV)/installed-dev  ## Prebid.js in Chromium against haat; gets both first (Debian, npm)
	@command -v chromium >/dev/null || { apt-get update --quiet; apt-get install --yes --no-install-recommends chromium; } >&2
	@test -d var/browser/package || { mkdir -p var/browser && cd var/browser && npm pack --silent prebid.js@11.36.0 && \
		tar xzf prebid.js-11.36.0.tgz && rm prebid.js-11.36.0.tgz; }
	$(BIN)/pytest tests/browser

.venv-spark/installed: requirements-spark.lock
	@test -d .venv-spark || $(PYTHON) -m venv .venv-spark
	.venv-spark/bin/pip install --quiet --require-hashes -r requirements-spark.lock
	@touch $@

.PHONY: spark-test
spark-test: .venv-spark/installed  ## batch reports on Spark beside DuckDB; gets PySpark first (470 MB), needs a JDK 17
	.venv-spark/bin/python -m pytest -p no:cacheprovider tests/contracts/test_batch_engine.py

.PHONY: simulate
simulate: $(VENV)/installed-dev  ## kill the exchange and audit the money, take engines away, slow them: KILLS=500 SEED=1 OUTAGE_S=60 INVENTORY=snapshot SLOW_S=20
	$(BIN)/python -m tests.simulation.kills --kills $(or $(KILLS),500) --seed $(or $(SEED),1)
	$(BIN)/python -m tests.simulation.node_kills --kills $(or $(KILLS),500) --seed $(or $(SEED),1)
	$(BIN)/python -m tests.simulation.elasticsearch_outage --seconds $(or $(OUTAGE_S),60) --inventory $(or $(INVENTORY),snapshot)
	$(BIN)/python -m tests.simulation.redis_outage --seconds $(or $(OUTAGE_S),60)
	$(BIN)/python -W ignore -m tests.simulation.slow_engines --seconds $(or $(SLOW_S),20) --rounds 3

.PHONY: simulate-kafka
simulate-kafka: $(VENV)/installed-dev  ## take Kafka away for OUTAGE=5m from under auctions, and audit the counts; needs `make services`
	$(BIN)/python -W ignore -m tests.simulation.kafka_outage --outage $(or $(OUTAGE),5m) --client $(or $(CLIENT),kafka-python)

.PHONY: simulate-budget
simulate-budget: $(VENV)/installed-dev  ## eight clients spend one budget over two nodes and Redis: REDIS=redis://… SEEDS=100
	$(BIN)/python -m tests.simulation.shared_budget --redis $(or $(REDIS),redis://127.0.0.1:6450/0) --seeds $(or $(SEEDS),100)

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
	$(BIN)/pip-compile $(LOCK) --extra install --extra dev --output-file requirements-dev.lock pyproject.toml
	$(BIN)/pip-compile $(LOCK) --extra install --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile $(LOCK) --extra install --extra spark --extra test --output-file requirements-spark.lock pyproject.toml
LOCK := --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.PHONY: clean
clean: services-stop  ## remove what runs have written under var/, never the environment
	rm -rf var build
