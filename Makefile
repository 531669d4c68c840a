# One command each; `make` lists them. A venv with the locked packages is made by itself, in .venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.ONESHELL:
.SILENT:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MUTMUT := .make/mutmut/.installed
SITE := .make/native
COMPILED := $(SITE)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
LOCKED := --require-hashes --only-binary :all:

SEEDS ?= 200
SAMPLE ?= 400
TRANSACTIONS ?= 200000
SEED ?= 1
MINUTES ?= 10
HEIGHT ?= 100000
RUNS ?= 3
ROW ?=
ACCOUNTS ?= 7000000
TESTS_NATIVE ?= $(wildcard tests/test_native.py tests/test_ledger*.py tests/test_storage*.py tests/test_node_executor.py)
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
NATIVE ?=
ARGS ?=

# NATIVE=1: what is run is the compiled copy in $(SITE), here and in all processes that are started.
READY := $(STAMP)
ifneq ($(filter-out 0,$(NATIVE)),)
READY += $(COMPILED)
export PYTHONPATH := $(CURDIR)/$(SITE)
export PYTHONSAFEPATH := 1
endif

# LevelDB's binding has wheels for Python 3.11 and 3.12; a name on the path may be a shim that cannot run, so run it.
# A distribution's own Python first: it is built with profiles, which a self-built one often is not, and a sixth faster.
PYTHON ?=
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
CANDIDATES = $(or $(PYTHON),$(wildcard /usr/bin/python3.12 /usr/bin/python3.11 /usr/local/bin/python3.12 /usr/local/bin/python3.11) \
	python3.12 python3.11 python3 python \
	$(wildcard $(HOME)/.pyenv/versions/3.12.*/bin/python $(HOME)/.pyenv/versions/3.11.*/bin/python) \
	$(wildcard $(HOME)/.local/share/uv/python/cpython-3.1[12].*/bin/python3))

.PHONY: help demo devnet docker-devnet scenario test test-quick test-docker test-browser test-index screenshots lint format coverage model simulate simulate-shell ledger-campaign long-chain fuzz mutants mutation-sample bench bench-ledger country resources bench-all bench-plots bench-quick lock native test-native install hooks clean distclean

help: ## List what there is
	echo "make <target>, one of:"
	sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || grep '##' Makefile

demo: $(READY) ## Four validators pay 1,000 pensions while one is killed; checks every balance (2 minutes)
	$(BIN)/python -m devnet.demo $(ARGS)

devnet: $(READY) ## The same four validators until Ctrl-C, with demo accounts and commands to try
	$(BIN)/python -m devnet.local $(ARGS)

docker-devnet: ## The same in containers: docker compose -f devnet/compose.yaml up
	compose="docker compose"; docker compose version >/dev/null 2>&1 || compose=docker-compose
	$$compose -f devnet/compose.yaml build
	$$compose -f devnet/compose.yaml up

scenario: $(STAMP) ## What the ledger is for, told while it happens on four validators: ROW=kgst (or all); ARGS="--lang ky"
	$(BIN)/som scenario $(ROW) $(ARGS)

test: lint ## All checks and tests; ARGS="-k name" is passed to pytest
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

test-quick: $(STAMP) ## Tests without the slow ones and those that start processes
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not slow and not processes and not children and not browser" $(ARGS)

test-docker: $(STAMP) ## The devnet in containers, end to end; needs a docker engine (5 minutes)
	$(BIN)/python -m pytest -m docker -p no:cacheprovider $(ARGS)

test-browser: $(STAMP) ## The explorer in a real Chromium on a devnet; installs it with apt-get if root (2 minutes)
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -m browser -n 0 $(ARGS)

test-index: $(STAMP) ## The indexer against a real PostgreSQL, killed on either side; installs it with apt-get if root (2 minutes)
	$(BIN)/python -m tests.postgres_lab
	$(BIN)/python -m pytest -m postgres -n 0 $(ARGS)

test-native: $(COMPILED) ## Is a compiled node the same one? The tests of ledger and store on it, and the same chains with and without (minutes)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -p tests.native $(TESTS_NATIVE) $(ARGS)

screenshots: $(STAMP) ## The pictures of the documents, of a devnet that lost a validator; ARGS="--all --output DIR": of every page
	$(BIN)/python -m tests.browser $(ARGS)

lint: $(STAMP) ## ruff and mypy --strict
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary

format: $(STAMP) ## Format the code and sort its imports
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

coverage: $(STAMP) ## Tests with branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

model: $(STAMP) ## The rules of consensus in every run of three views (seconds); ARGS="--views 4", ARGS=--mutants
	$(BIN)/python -m tests.model $(ARGS)

simulate: $(STAMP) ## Simulated clusters with faults: SEEDS=200 of them; ARGS="--seed 17 --trace" tells one
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --jobs $(JOBS) $(ARGS)

simulate-shell: $(STAMP) ## Whole nodes on virtual time, with clients: SEEDS=200; ARGS="--seed 17 --trace" tells one
	$(BIN)/python -m tests.shell --seeds $(SEEDS) --jobs $(JOBS) $(ARGS)

long-chain: $(STAMP) ## An observer joins 100,000 blocks by a snapshot, another one by blocks; says how long (HEIGHT=100000, half an hour)
	SOM_LONG_CHAIN=$(HEIGHT) nice $(BIN)/python -m pytest -n 0 --timeout 0 tests/test_long_chain.py $(ARGS)

ledger-campaign: $(STAMP) ## Random transactions for the ledger and its model: TRANSACTIONS=200000 SEED=1 (minutes); ARGS="--chain 7" tells one
	nice $(BIN)/python -m tests.ledger_model --transactions $(TRANSACTIONS) --seed $(SEED) --jobs $(JOBS) $(ARGS)

fuzz: $(STAMP) ## Validators that lie under good keys, with new seeds for MINUTES=10; ARGS="--seed 17" tells one
	$(BIN)/python -m tests.hostile --minutes $(MINUTES) $(ARGS)

mutants: $(STAMP) ## Plant faults and see who notices; writes docs/mutants.md; ARGS='--only "no back-off"' plants one (half an hour)
	nice $(BIN)/python -m tests.mutants --jobs $(JOBS) $(ARGS)

mutation-sample: $(MUTMUT) ## Random mutants of consensus and ledger: SAMPLE=400 SEED=1; writes docs/mutants.md (20 minutes)
	nice $(dir $(MUTMUT))bin/python -m tests.mutants.sample --sample $(SAMPLE) --seed $(SEED)

$(MUTMUT): requirements/dev.txt requirements/schemas.txt | $(STAMP)
	$(BIN)/python -m venv --clear $(@D)
	install="$(@D)/bin/python -m pip --disable-pip-version-check --no-input --quiet install"
	$$install $(LOCKED) -r requirements/dev.txt
	$$install $(LOCKED) --no-deps -r requirements/schemas.txt
	$$install mutmut==3.8.1
	touch $@

bench: $(READY) ## Load on four local validators: throughput, time to finality, bound ratio; ARGS="--list", "--scenario NAME"
	$(BIN)/python -m devnet.bench $(ARGS)

bench-all: $(READY) ## Every scenario RUNS=3 times; writes docs/performance/*.json (three hours, on a machine that is quiet)
	$(BIN)/python -m devnet.bench --all --runs $(RUNS) --results docs/performance $(ARGS)

bench-plots: $(STAMP) ## Tables and charts of docs/performance.md from docs/performance/*.json
	$(BIN)/python -m devnet.bench.plots $(ARGS)

bench-quick: $(READY) ## Slower than the baseline? Parts of a payment and a short saturation (3 minutes at the most)
	$(BIN)/python -m devnet.bench.quick $(ARGS)

bench-ledger: $(READY) ## What each operation costs to apply, to commit to and to store, with 20,000 and 1,000,000 accounts (4 minutes)
	$(BIN)/python -m devnet.bench.ledger $(ARGS)

country: $(READY) ## The pensions of ACCOUNTS=7000000 wallets on four validators, every one checked; opens them first, once (a quarter of an hour; 100000: a minute)
	$(BIN)/python -m devnet.country --accounts $(ACCOUNTS) $(ARGS)

resources: $(READY) ## Memory, disk and start of a validator by accounts and payments, into docs/performance.md (ACCOUNTS=1000000: minutes)
	$(BIN)/python -m devnet.resources --accounts $(if $(filter command environment,$(origin ACCOUNTS)),$(ACCOUNTS),1000000) --page docs/performance.md $(ARGS)

native: $(COMPILED) ## Compile what a payment spends its time in; then NATIVE=1 with demo, devnet, bench ... (two minutes; needs a C compiler)

$(COMPILED): setup.py pyproject.toml $(shell find consensus network node devnet -name '*.py') | $(STAMP)
	echo "Compiling into $(SITE)"
	rm -rf $(SITE) build
	SOM_NATIVE=1 PYTHONWARNINGS=ignore $(PIP) install --no-index --no-deps --no-build-isolation --target $(SITE) .
	touch $@

lock: $(STAMP) ## Write requirements/*.txt anew from pyproject.toml; UPGRADE=1 takes newer versions
	$(BIN)/python requirements/lock.py

hooks: $(STAMP) ## Check each commit before it is made
	$(BIN)/pre-commit install

install: $(STAMP) ## The venv with everything, and the command .venv/bin/som

clean: ## Remove what tests, tools and devnets left
	rm -rf .devnet .make build dist *.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## And the venv
	rm -rf $(VENV)

$(STAMP): pyproject.toml requirements/dev.txt requirements/schemas.txt
	if ! $(BIN)/python -c '$(FITS)' 2>/dev/null; then
	  for python in $(CANDIDATES) none; do if "$$python" -c '$(FITS)' 2>/dev/null; then break; fi; done
	  if [ "$$python" = none ]; then
	    echo "Install Python 3.11 or 3.12 with its venv module (on Debian: apt install python3-venv), or name one: make PYTHON=..." >&2
	    exit 1
	  fi
	  echo "Making $(VENV) with $$($$python -V)"
	  "$$python" -m venv --clear $(VENV)
	fi
	echo "Installing the locked packages (a minute, once)"
	$(PIP) install $(LOCKED) -r requirements/dev.txt
	$(PIP) install $(LOCKED) --no-deps -r requirements/schemas.txt
	PYTHONWARNINGS=ignore $(PIP) install --no-index --no-deps --no-build-isolation --editable .
	touch $@
