# Two commands on a fresh machine: `make compare` and `make test`. Both install into .venv first.
PYTHON ?= python3
# another interpreter has a place of its own: make test PYTHON=python3.12 installs into .venv-python3.12
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin

.PHONY: install compare taste test lint slow docs matrix lower-bounds clean

# the versions that were tested are in constraints.txt; CONSTRAINTS= installs the newest that pyproject.toml allows
CONSTRAINTS ?= -c constraints.txt

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e ".[test]"
	touch $@

install: $(VENV)/.installed

compare: install
	$(BIN)/python scripts/04_compare_methods.py

taste: install
	$(BIN)/python scripts/04_compare_methods.py --expert-frames 30000 --ipmd-frames 20000 --bc-epochs 50 --num-seeds 3

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: install
	$(BIN)/python -m pytest

slow: install
	$(BIN)/python -m pytest -m slow

matrix:
	.ci/matrix

lower-bounds:
	PYTHON=$(PYTHON) .ci/lower_bounds

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e ".[docs]"
	touch $@

# -n and -W: a link or a name without a target fails; -E: all pages are read again, so that none of these is overlooked
docs: $(VENV)/.docs
	$(BIN)/sphinx-build -q -n -W --keep-going -E -b html -c docs . build/docs
	@echo "open build/docs/index.html"

clean:
	rm -rf .venv .venv-* build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
