# Every target makes its own virtual environment: a fresh machine needs Python >= 3.11, pip and make.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
PYTEST_ARGS ?=
CONSTRAINTS ?=
NEWER ?= python3.13
SEED ?= 1
N ?= 1000000
ONLY ?=

JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_COMPILATION_CACHE_DIR

BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help demo test quick slow fuzz lint format architecture gallery docs notebooks lock clean

help:
	@echo "make demo    calibrate four models to twelve shipped market snapshots, with a page about it"
	@echo "make test    every test but the slow ones (make quick: without those over ten seconds, make slow: the rest)"
	@echo "make fuzz    N=$(N) damaged files, drawn with SEED=$(SEED), in WORKERS processes; ONLY=number shows one"
	@echo "make lint    ruff and pyright        make format   ruff format"
	@echo "make docs    build the documentation into site/    make notebooks   run the notebooks, keep their outputs"
	@echo "make gallery run the gallery anew: outputs and pictures"
	@echo "make architecture   the list of files in ARCHITECTURE.md        make lock   requirements.lock"
	@echo "make clean   remove environments, caches and build results"
	@echo "Settings: PYTHON=$(PYTHON) VENV=$(VENV) WORKERS=$(WORKERS) PYTEST_ARGS=$(PYTEST_ARGS) CONSTRAINTS=$(CONSTRAINTS)"

demo: $(VENV)/.demo
	$(BIN)/neutral demo

test: $(VENV)/.test
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

quick: $(VENV)/.test
	$(PYTEST) -m "not slow and not heavy" $(PYTEST_ARGS)

slow: $(VENV)/.test
	$(PYTEST) -m "slow" $(PYTEST_ARGS)

fuzz: $(VENV)/.test
	PYTHONPATH=tests JAX_PLATFORMS=cpu $(BIN)/python -m fuzz --seed $(SEED) --inputs $(N) --workers $(WORKERS) \
	  $(if $(ONLY),--only $(ONLY))

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Runs the notebooks and keeps their outputs, which the site shows.
notebooks: $(VENV)/.docs
	$(BIN)/python -m pytest --nbmake --overwrite --nbmake-timeout=300 notebooks
	$(BIN)/python .ci/clean_notebooks.py

architecture: $(VENV)/.made
	$(BIN)/python .ci/architecture.py

gallery: $(VENV)/.test
	PYTHONPATH=tests $(BIN)/python -m gallery $(ONLY)

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -b html -W --keep-going -q -d .cache/docs docs site

# Newest versions that resolve, in environments made for it alone: one of PYTHON and one of NEWER.
lock:
	rm -rf .venv-lock .venv-lock-newer
	$(MAKE) .venv-lock/.everything VENV=.venv-lock
	$(MAKE) .venv-lock-newer/.everything VENV=.venv-lock-newer PYTHON=$(NEWER)
	.venv-lock/bin/python .ci/lock.py .venv-lock/bin/python .venv-lock-newer/bin/python

clean:
	rm -rf .venv .venv-* .cache .pytest_cache .ruff_cache .hypothesis build dist site neutral-demo *.egg-info
	find neutral tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp per set of extras: installed again only when pyproject.toml changes.
$(VENV)/.demo: EXTRAS := cli,plot
$(VENV)/.test: EXTRAS := cli,plot,test
$(VENV)/.dev: EXTRAS := cli,plot,test,dev
$(VENV)/.docs: EXTRAS := cli,plot,test,docs
$(VENV)/.everything: EXTRAS := cli,plot,test,dev,docs
$(VENV)/.demo $(VENV)/.test $(VENV)/.dev $(VENV)/.docs $(VENV)/.everything: pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install --quiet $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) --editable ".[$(EXTRAS)]"
	@touch $@

# Where the system's Python has no ensurepip, pip is put in from outside.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "neutral needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
	  && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@touch $@
