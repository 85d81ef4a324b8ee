# What can be done here. `make` prints this menu.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help loss-compare demo toy-models test slurm-up slurm-down test-slurm lint type format bench clean
help: ## this menu
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "xstilts needs Python 3.11 or newer; make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(READY)

demo: $(READY) ## a synthetic world end to end, in minutes, and its table
	$(BIN)/python launch.py experiment=demo
	@printf '\nnext:\n  %s\n      %s\n  %s\n      %s\n  %s\n      %s\n' \
		'# what that was, and what was shared' '$(BIN)/python launch.py experiment=demo do=plan' \
		'# more of the same world, in the same table' \
		'$(BIN)/python launch.py experiment=demo inter=none,hellaswag target=xcopa,udpos' \
		'# the real question, on real data' '$(BIN)/python launch.py -m model=base,large,xl inter=mnli,squad do=plan'

toy-models: $(READY) ## pretrain the models of the synthetic world again, in under an hour on two cores
	$(BIN)/python -m xstilts.data.toy.pretrain

test: $(READY) lint type ## lint, types, and the whole suite (XSTILTS_DATA=FOLDER adds the tests on real slices)
	$(BIN)/python -m pytest -n auto -m 'not slurm'

slurm-up: $(READY) ## a real Slurm cluster on this machine, for tests: as root, with Debian's packages (see docs/slurm.md)
	$(BIN)/python tests/slurm/cluster.py up

slurm-down: $(READY) ## stop it, and everything it left running
	$(BIN)/python tests/slurm/cluster.py down

test-slurm: $(READY) ## the tests on a real cluster, which is started and stopped; skipped where none can be had
	@$(BIN)/python tests/slurm/cluster.py up; status=$$?; \
	if [ $$status = 3 ]; then echo "skipped: the tests on a real Slurm cluster"; exit 0; fi; \
	if [ $$status = 0 ]; then $(BIN)/python -m pytest tests/slurm --durations=20; status=$$?; fi; \
	$(BIN)/python tests/slurm/cluster.py down; exit $$status

lint: $(READY) ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(READY) ## mypy
	$(BIN)/mypy

format: $(READY) ## ruff, writing
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## how long planning takes; see benchmarks/
	$(BIN)/python benchmarks/planning.py

loss-compare: $(READY) ## did the engine move a loss curve? every format, this tree against BASE (default: main)
	$(BIN)/python benchmarks/losses.py $(or $(BASE),main)

clean: ## remove the virtual environment and caches; stores stay
	rm -rf .venv .ruff_cache .mypy_cache .hypothesis build src/*.egg-info
