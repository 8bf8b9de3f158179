# Needs Python 3.11 to 3.13 and make. Another Python: make test PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test test-slow fuzz parity lint format
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(BIN)/kerasae quickstart

test: lint
	$(BIN)/python -m pytest -n auto --dist loadscope --no-loadscope-reorder

# The rows that `test` leaves out: more of the same, which takes minutes.
test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -n auto -m slow
	KERASAE_FUZZ=1000 $(BIN)/python -m pytest tests/test_fuzz.py

fuzz: $(VENV)/installed-test
	KERASAE_FUZZ=10000 $(BIN)/python -m pytest tests/test_fuzz.py

parity: $(VENV)/installed-parity
	$(BIN)/python -m pytest tests/parity

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# bin/pip is the last file that venv writes: a venv cut short is made again.
$(BIN)/pip:
	$(PYTHON) -m venv --clear $(VENV)

# Stamps: the installation is repeated when pyproject.toml changes, and only then.
$(VENV)/installed: pyproject.toml | $(BIN)/pip
	@echo "Installing kerasae and TensorFlow into $(VENV); this takes a minute or two."
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-test: pyproject.toml | $(BIN)/pip
	@echo "Installing kerasae, TensorFlow and the test tools into $(VENV); this takes a minute or two."
	@$(PIP) install --editable ".[test]"
	@touch $@ $(VENV)/installed

$(VENV)/installed-parity: pyproject.toml | $(BIN)/pip
	@echo "Installing PyTorch and transformers beside kerasae into $(VENV); this takes some minutes."
	@$(PIP) install --editable ".[test,parity]"
	@touch $@ $(VENV)/installed $(VENV)/installed-test
