# make demo   a slow link between network namespaces: FIFO, then FQ-CoDel, and a report, in about 30 seconds
# make test   style, types and tests (needs root for what runs in the kernel)
# Both set up all that they need, the first time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := ip:iproute2 tc:iproute2 ethtool:ethtool ping:iputils-ping tcpdump:tcpdump iperf3:iperf3

export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: demo test lint format clean tools

demo: $(READY) tools
	$(BIN)/python examples/demo.py

# What opens the reports of experiments.
test: TOOLS += chromium:chromium
test: lint tools
	$(BIN)/pytest -n 3 -m 'not alone'
	$(BIN)/pytest -m alone

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# A new machine may lack ensurepip, a moved checkout has a dead interpreter: make the environment anew then.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'penstock needs Python 3.11 or newer: make PYTHON=python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || tools/debian python3-venv
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

tools:
	@missing=; \
	for tool in $(TOOLS); do \
	  command -v $${tool%%:*} >/dev/null || missing="$$missing $${tool##*:}"; \
	done; \
	[ -z "$$missing" ] || tools/debian $$missing
