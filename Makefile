# The commands of the project; a bare `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
PYTEST_ARGS ?=
# Most tests wait for processes rather than for the processor.
PYTEST := $(BIN)/python -m pytest -n $(or $(JOBS),4)

.DEFAULT_GOAL := help
.PHONY: help demo test planted simulate sweep mutate check format docs up repeat kills lock clean

help: ## list the commands
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Tranche needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Say which: make PYTHON=python3.12 …")'
	@echo "Installing what Tranche needs into $(VENV) …"
	@rm -f $(VENV)/.ready-*
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY) ## a rollout on 20 simulated bases, from start to end (under a minute)
	@$(BIN)/tranche demo

test: $(READY) ## all tests
	@$(PYTEST) $(PYTEST_ARGS)

planted: $(READY) ## break each rule of the services on purpose: every bug must be caught by the test named for it
	@$(PYTEST) -v tests/planted tests/planted/searched_planted.py $(PYTEST_ARGS)

simulate: $(READY) ## the services on simulated time under faults (MINUTES=2 SEEDS=a:b FROM=a BRANCHES=… WORKERS=… KEEP=1; SEED=a.b LOG=1)
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(LOG),--log) $(addprefix --seeds ,$(SEEDS)) \
	  $(addprefix --minutes ,$(MINUTES)) $(addprefix --from ,$(FROM)) $(addprefix --workers ,$(WORKERS)) \
	  $(addprefix --branches ,$(BRANCHES)) $(if $(KEEP),--keep)

sweep: $(READY) ## a crash at every I/O point of golden rollouts, pairs in the smallest (GOLDEN=… AT=n or n,m LOG=1)
	@$(BIN)/python -m tests.simulation.sweep --jobs $(or $(JOBS),2) $(addprefix --golden ,$(GOLDEN)) \
	  $(addprefix --at ,$(AT)) $(if $(LOG),--log)

mutate: $(READY) ## mutants of the cores, 90 % of each module noticed (CORE=… MODULES=… AGAIN=1 SURVIVORS=1)
	@$(BIN)/python -m tests.mutation --jobs $(or $(JOBS),2) $(addprefix --core ,$(CORE)) \
	  $(addprefix --module ,$(MODULES)) $(if $(AGAIN),--again) $(if $(SURVIVORS),--survivors)

check: $(READY) ## style, types, import law
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## put the code into the house style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(READY) ## write docs/asyncapi.yaml and docs/reference anew from the code
	@$(BIN)/python -m docs.generate

up: $(READY) ## nats-server and the three services on this machine, until Ctrl-C
	@$(BIN)/tranche up

repeat: $(READY) ## the tests that use nats-server, 20 times, without reruns
	@for i in $$(seq 1 20); do echo "repeat $$i of 20"; $(PYTEST) -q -m "nats and not real" $(PYTEST_ARGS) || exit 1; done

kills: $(READY) ## kill and freeze processes in the middle of rollouts, judge the bases (KILLS=200, SEED=…)
	@$(BIN)/python -m tests.kills --kills $(or $(KILLS),200) $(if $(SEED),--seed $(SEED))

lock: $(READY) ## pin the newest allowed versions, with hashes (needs uv)
	@uv pip compile --quiet --universal --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --extra test pyproject.toml -o requirements.lock

clean: ## remove what the commands above made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .tranche .mutation
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
