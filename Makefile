# Two commands: `make demo` shows everything on this machine, `make test` proves it.
# PYTHON is the interpreter that the virtual environment is made with (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

# Without its cache of bytecode, Python would compile everything anew in every process that the tests start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check format unit service long bench ci-deps clean

# --- for users -----------------------------------------------------------------------------------------------

demo: $(VENV)/.demo-installed
	$(BIN)/experiment-ci demo $(if $(ONCE),--once)

# --- for developers ------------------------------------------------------------------------------------------

# By stages, on two cores: check 1 minute, unit 1, service 20 to 30, long 2 to 5. The last one keeps to its
# budget by itself: what it has no time for is told as skipped, with the reason.
test: check unit service
	$(MAKE) long BUDGET=120

check: $(VENV)/.dev-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What runs in seconds and needs nothing but Python: examples, on both cores.
unit: $(VENV)/.dev-installed
	$(PYTEST) -n 2 --dist loadfile -m "not service and not slow and not hypothesis and not long"

# Properties over generated input; what starts servers, git, supervisors and the demo. Three at a time: they wait a lot.
# What fails is tried once more, and the report says so (RERUN): these are real processes on a machine that others use too.
service: $(VENV)/.dev-installed
	$(PYTEST) -n 3 --dist loadfile --reruns 1 -m "(service or slow or hypothesis) and not long" --durations=10

# Long forms: more seeds, more bytes, more kills. All of them, unless a BUDGET in seconds is given.
long: $(VENV)/.dev-installed
	$(PYTEST) -n 2 -m long --durations=5 --budget $(or $(BUDGET),0)

format: $(VENV)/.dev-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev-installed
	$(BIN)/python -m benchmarks.door
	$(BIN)/python -m benchmarks.search

# What does not come from PyPI: isolation and networks of their own for experiments (bubblewrap, slirp4netns), mpirun,
# container images (podman, and busybox to make one of; docker's tests want its daemon too, which is left out here),
# and GitHub's own descriptions of its API and its webhooks (npm). Without them the tests that want them say that they
# were skipped, and why.
CI_PACKAGES := \
	bubblewrap \
	busybox-static \
	git \
	openmpi-bin \
	podman \
	runc \
	slirp4netns

ci-deps:
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends $(CI_PACKAGES)
	npm ci --ignore-scripts --no-audit --no-fund

clean:
	rm -rf .demo demo-report.json .mypy_cache .ruff_cache .pytest_cache .hypothesis

# --- the virtual environment ---------------------------------------------------------------------------------

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[demo]"
	touch $@

$(VENV)/.dev-installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	$(BIN)/python -m compileall -q bot
	touch $@
