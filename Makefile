# MUTT on one machine. Every target prepares what it needs; run `make` for the list.
# A recipe uses Python 3.11 or newer: PYTHON=/path/to/python3 names another than the one on PATH.

PYTHON ?= python3
BOOTSTRAP = exec $(PYTHON) -m load.stack.bootstrap

# Tools of `make test` and `make check`, and Locust; their versions are in requirements-dev.lock.
TOOLS = pytest coverage hypothesis ruff mypy import-linter types-requests types-psycopg2 types-pyyaml cryptography setuptools wheel schemathesis selenium locust

.DEFAULT_GOAL := help
.PHONY: help run up down test check chaos chaos-short sources rpm repo appliance bench bench-quick bench-curves soak locust
.PHONY: lock clean environment

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 20

run: ## Set everything up, start MUTT with sample syslog, follow alerts until Ctrl-C stops it all
	@$(BOOTSTRAP) run

up: ## Start MUTT in the background, without the sample syslog; addresses and keys are in var/dev.env
	@$(BOOTSTRAP) up

down: ## Stop everything that up or run started
	@$(BOOTSTRAP) down

test: check ## Run the checks, then all tests with their coverage
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest
	.venv/bin/python -m pytest tests/chaos
	.venv/bin/coverage combine
	.venv/bin/coverage report

check: environment ## Run the linter, the type checker and the import contracts
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

rpm: ## Build the RPM into var/rpm
	rpm/build.sh

repo: ## Build the RPM and a dnf repository with it into var/repo; GPG_KEY=ID signs both
	@rpm/repo.sh

chaos: environment ## Run the fault suite at full size: every fault, its accounting and a naive control beside it
	.venv/bin/python -m tests.chaos --report docs/reference/fault-suite.md

chaos-short: environment ## Run the fault suite in small, some four minutes
	.venv/bin/python -m pytest tests/chaos

appliance: environment ## Test the RPM, the service and the Ansible role; needs the tools of docs/how-to/install-rhel.md
	.venv/bin/python -m pytest tests/appliance

bench: environment ## Measure everything against its goals and against other systems; writes docs/performance.md
	.venv/bin/python -m load.bench --report docs/performance.md

bench-quick: environment ## The same in small, some five minutes; writes nothing
	.venv/bin/python -m load.bench --quick

bench-curves: environment ## Growth curves as pictures into docs/pictures: batches, messages, rules, queue, audit log
	.venv/bin/python -m load.bench.curves

soak: environment ## Ten minutes at 80 % of what is sustained: memory, latency, accounting
	.venv/bin/python -m load.bench.soak

locust: environment ## All Locust profiles with their thresholds; make locust-steady and so on for one
	.venv/bin/python -m load.locust all

# steady, ramp, burst, sources, relays, operators, poison; drive says what Locust itself can drive.
locust-%: environment
	.venv/bin/python -m load.locust $*

sources: environment ## Test real rsyslog and snmptrapd in front of MUTT, some eight minutes; needs their Debian packages
	.venv/bin/python -m pytest -s tests/sources

lock: ## Choose versions anew: requirements.lock for MUTT, requirements-dev.lock for the tools
	@test -x var/lock/bin/uv || { $(PYTHON) -m venv var/lock && var/lock/bin/pip install --quiet uv; }
	var/lock/bin/uv pip compile $(UV_OPTIONS) --output-file requirements.lock setup.cfg
	printf '%s\n' $(TOOLS) | var/lock/bin/uv pip compile $(UV_OPTIONS) --constraint requirements.lock --output-file requirements-dev.lock -

UV_OPTIONS = --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock'

clean: ## Stop the stack and remove its data, the virtual environment and all caches
	@$(PYTHON) -m load.stack.bootstrap clean
	rm -rf .venv var .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@$(BOOTSTRAP) tools
