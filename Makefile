# Everything runs in .venv, which is made on first use; an install step runs again only when pyproject.toml changes.
#
#   make demo                       fit a heavy pipeline, shrink it, show before and after
#   make test                       all tests (EXTRAS=hummingbird adds torch and Hummingbird)
#   make lint types                 ruff, mypy
#   make docs                       find what stands behind each supported class, write docs/estimators.md
#   make bench                      build the benchmark pipelines, shrink and measure each; what folding gains; try the gate;
#                                   time slimml
#   make fuzz                       the property tests with many more random examples
#   make clean                      remove what the above made

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?=
PYTEST_ARGS ?= -n logical --dist worksteal

PY := $(VENV)/bin/python
HUMMINGBIRD := hummingbird-ml==0.4.12
comma := ,
TEST_SET := all,test$(if $(EXTRAS),$(comma)$(EXTRAS))

.PHONY: demo test lint format types docs bench fuzz clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed-all
	$(PY) examples/fit_model.py .bench/demo
	$(VENV)/bin/slimml shrink .bench/demo/model.pkl -o .bench/demo/model.slim --data .bench/demo/rows.csv --target income
	$(PY) examples/before_after.py .bench/demo

test: $(VENV)/installed-$(TEST_SET)
	$(PY) -m pytest $(PYTEST_ARGS)

lint: $(VENV)/installed-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(VENV)/installed-dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: $(VENV)/installed-all,test,dev
	$(PY) -m mypy

docs: $(VENV)/installed-all,test
	$(PY) -m tests.supported

bench: $(VENV)/installed-all,test
	$(PY) -m benchmarks.run
	$(PY) -m benchmarks.folding
	$(PY) -m benchmarks.decode
	$(PY) -m benchmarks.gate
	mkdir -p .bench
	$(PY) -m pytest benchmarks/test_speed.py -p no:xdist --benchmark-json .bench/speed.json
	HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest tests/test_random_pipelines.py -k next_to_every_cut

fuzz: $(VENV)/installed-$(TEST_SET)
	HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest -m hypothesis $(PYTEST_ARGS)

# The name of a stamp is the set of extras that it stands for: .venv/installed-all,test
$(VENV)/installed-%: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "slimml needs Python 3.11 or later, this is " \
		+ sys.version.split()[0] + "; name another: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	$(if $(findstring hummingbird,$*),$(PY) -m pip install --quiet --no-deps $(HUMMINGBIRD))
	@touch $@

clean:
	rm -rf $(VENV) .bench build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find slimml tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +
