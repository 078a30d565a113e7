# Everything that people and CI type. `make` alone lists it.

JOBS ?= 2
SEEDS ?= 0 1 2
PROFILE ?= quick
DEVICE ?= auto
GROUP_SIZE ?= auto
DATA ?=
TARGETS ?= configs/tuning_targets.txt
RUNS_DIR ?= runs
LOGS_DIR ?= logs
PLOTS_DIR ?= plots
RUN ?=
LAUNCHER ?= local
PYTHON ?= python3

# A misspelt variable (make matrix JOB=4) would otherwise be ignored in silence.
KNOWN := JOBS SEEDS PROFILE DEVICE GROUP_SIZE DATA TARGETS RUNS_DIR LOGS_DIR PLOTS_DIR RUN LAUNCHER \
	PYTHON
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
UNKNOWN := $(filter-out $(KNOWN) MAKEFLAGS MAKEOVERRIDES SHELL,$(GIVEN))
ifneq ($(strip $(UNKNOWN)),)
$(error unknown variable '$(firstword $(UNKNOWN))'; expected one of: $(KNOWN))
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup matrix tune train evaluate analyze report status watch logs dashboard test test-slow lint type bench docs clean

VENV_PYTHON := .venv/bin/python
BASE := .venv/.installed-run
DASHBOARD := .venv/.installed-dashboard
DEV := .venv/.installed-dev
MATRIX = $(VENV_PYTHON) scripts/run_matrix.py --targets "$(TARGETS)" --jobs "$(JOBS)" \
	--seeds "$(SEEDS)" --profile "$(PROFILE)" --device "$(DEVICE)" --launcher "$(LAUNCHER)" \
	--group_size "$(GROUP_SIZE)" $(if $(DATA),--data "$(DATA)") \
	--runs_dir "$(RUNS_DIR)" --logs_dir "$(LOGS_DIR)" --plots_dir "$(PLOTS_DIR)"
PYTEST = OMP_NUM_THREADS=1 $(VENV_PYTHON) -m pytest -n 2

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
	@echo 'variables: JOBS=2 SEEDS="0 1 2" PROFILE=quick|hour|day DEVICE=auto|cpu|cuda|mps DATA=candles.csv'
	@echo '           TARGETS=configs/tuning_targets.txt RUNS_DIR=runs LOGS_DIR=logs PLOTS_DIR=plots'
	@echo '           LAUNCHER=local|debug|slurm|ray, or a file in configs/launchers; GROUP_SIZE=auto'

setup: $(DEV) ## create .venv with pinned dependencies and the package, tools for tests included

matrix: $(BASE) ## tune, train, evaluate and compare every config of the target list
	@$(MATRIX)

tune: $(BASE) ## the tune stage of the matrix alone
	@$(MATRIX) --stages tune

train: $(BASE) ## the train stage alone
	@$(MATRIX) --stages train

evaluate: $(BASE) ## the evaluate stage alone
	@$(MATRIX) --stages evaluate

analyze: $(BASE) ## summary, tables and plots of all runs
	@$(MATRIX) --stages analyze

report: $(BASE) ## one page of all runs and one per run, to open in a browser
	@$(VENV_PYTHON) scripts/write_report.py --runs_dir "$(RUNS_DIR)"

status: $(BASE) ## what is done, running, failed and pending, while a matrix runs or after
	@$(VENV_PYTHON) scripts/show_status.py --runs_dir "$(RUNS_DIR)"

watch: $(BASE) ## the same, refreshed until Ctrl-C
	@$(VENV_PYTHON) scripts/show_status.py --runs_dir "$(RUNS_DIR)" --watch

logs: $(BASE) ## follow the log of one run or config: make logs RUN=env_baseline
	@$(VENV_PYTHON) scripts/follow_log.py "$(RUN)" --runs_dir "$(RUNS_DIR)" --logs_dir "$(LOGS_DIR)"

dashboard: $(DASHBOARD) ## optuna-dashboard on the studies, TensorBoard on the runs
	@$(VENV_PYTHON) scripts/start_dashboards.py --runs_dir "$(RUNS_DIR)"

test: lint type ## everything that CI checks
	@$(PYTEST)

test-slow: $(DEV) ## the long tests: kills, whole matrices, many processes
	@$(PYTEST) -m slow

lint: $(DEV) ## style
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .

type: $(DEV) ## types
	@$(VENV_PYTHON) -m mypy

bench: $(DEV) ## benchmarks, and one table of their ratios
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(VENV_PYTHON) "$$script" || exit 1; done
	@echo "== ratios, of processor time"; $(VENV_PYTHON) benchmarks/print_table.py

docs: $(DEV) ## the documentation as a site, build/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(VENV_PYTHON) -m mkdocs build --quiet
	@echo "build/site/index.html"

clean: ## remove caches; runs, logs, plots and .venv stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	@find src tests scripts benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +

# The stamps hold a checksum, so a fresh checkout of the same files installs nothing again.
$(BASE): pyproject.toml constraints.txt
	@$(call install,.,$@)

$(DASHBOARD): pyproject.toml constraints.txt
	@$(call install,.[dashboard],$@)
	@cp $@ $(BASE)

$(DEV): pyproject.toml constraints.txt
	@$(call install,.[dev],$@)
	@cp $@ $(BASE)
	@cp $@ $(DASHBOARD)

define install
	sum=$$(cat pyproject.toml constraints.txt | cksum); \
	if [ "$$sum" = "$$(cat $(2) 2>/dev/null)" ]; then touch $(2); exit 0; fi; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11; give another: make PYTHON=python3.12" >&2; \
		exit 2; }; \
	echo "installing into .venv (a few minutes, once)"; \
	$(PYTHON) -m venv .venv && \
	$(VENV_PYTHON) -m pip install --quiet --constraint constraints.txt --editable '$(1)' && \
	echo "$$sum" > $(2)
endef
