# Two commands do everything on a machine with Python 3.11 or newer: `make audit`, `make test`.

PYTHON ?= python3
CONFIG ?= configs/audit.yaml
ARGS   ?=
EXTRAS ?=

VENV       ?= .venv
PEERS_VENV ?= .venv-peers
BIN        := $(VENV)/bin
STAMP      := $(VENV)/.installed
PEERS      := $(PEERS_VENV)/.installed
PIP_FLAGS  := --quiet --no-input --disable-pip-version-check --progress-bar off

comma   := ,
PROJECT := .[dev$(if $(EXTRAS),$(comma)$(EXTRAS))]

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help audit cron test test-slow lint format bench clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  CONFIG=configs/audit.yaml   the audit's configuration"
	@echo "  ARGS=\"...\"                  more arguments for the command behind audit, test, test-slow or bench"
	@echo "  EXTRAS=s3,slurm             optional parts to install: s3, gcs, slurm, kubernetes, tokenizers"
	@echo "  PYTHON=python3              the interpreter to build $(VENV) with, 3.11 or newer"

audit: $(STAMP) ## Audit the data set that CONFIG describes
	$(BIN)/dupaudit run --config $(CONFIG) $(ARGS)

cron: $(STAMP) ## Print what audits CONFIG every night: a crontab line, a systemd service and timer
	@$(BIN)/dupaudit cron --config '$(CONFIG)' $(ARGS)

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest $(ARGS)

test-slow: $(STAMP) ## Run the tests that take minutes, with random examples
	$(BIN)/python -m pytest -m slow --timeout 1800 --hypothesis-profile slow $(ARGS)

lint: $(STAMP) ## Check style, format and types
	$(BIN)/ruff check pipeline tests
	$(BIN)/ruff format --check pipeline tests
	$(BIN)/mypy --strict pipeline tests

format: $(STAMP) ## Format the code, and fix what can be fixed safely
	$(BIN)/ruff check --fix-only pipeline tests
	$(BIN)/ruff format pipeline tests

bench: $(STAMP) $(PEERS) ## Compare with other tools, side by side
	$(BIN)/python tests/bench/bench.py $(ARGS)

clean: ## Remove the environments and the caches, never an audit
	rm -rf $(VENV) $(PEERS_VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
	find pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment is built anew, not mended, when what it was built from changes: the lists of
# packages, the extras, or the folder it stands in (scripts inside it hold that folder's path).
WANTED := $(PROJECT) $(CURDIR)
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(WANTED))
.PHONY: $(STAMP)
endif

# $(call new_environment,folder)
define new_environment
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1): name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian, Ubuntu: python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(1)
endef

$(STAMP): pyproject.toml configs/constraints.txt
	@echo "Installing $(PROJECT) into $(VENV), a minute or two the first time"
	$(call new_environment,$(VENV))
	@$(BIN)/python -m pip install $(PIP_FLAGS) -c configs/constraints.txt -e '$(PROJECT)'
	@echo '$(WANTED)' >$@

$(PEERS): tests/bench/peers-requirements.txt
	@echo "Installing the tools to compare with into $(PEERS_VENV)"
	$(call new_environment,$(PEERS_VENV))
	@$(PEERS_VENV)/bin/python -m pip install $(PIP_FLAGS) -r tests/bench/peers-requirements.txt
	@touch $@
