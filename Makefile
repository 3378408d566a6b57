# What each target does stands in README.md and CONTRIBUTING.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A second environment, with the last Hugging Face datasets that runs loading scripts.
DATASETS3 := $(VENV)/datasets3
# A third one, as lightkurve does not go with the pandas that lsdb wants.
LIGHTKURVE := $(VENV)/lightkurve

.PHONY: demo test lint docs torch bench load fuzz lock clean

demo: $(VENV)/installed
	$(BIN)/tessloom build qlp tglc spoc --sector 23 --tiny --archive demo --out demo-data

test: $(VENV)/installed-for-development $(DATASETS3)/installed $(LIGHTKURVE)/installed
	$(BIN)/pytest -n auto --dist loadgroup

lint: $(VENV)/installed-for-development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# A warning is an error. The result is site/index.html.
docs: $(VENV)/installed-for-development
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# For training, and the tests of it. Not among requirements-dev.txt: it weighs more than all the
# rest together, and which build of it fits depends on the machine.
torch: $(VENV)/installed-for-development
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0

# For instance: make bench BENCH="--quick decoding --json results.json"
BENCH ?=
bench: $(VENV)/installed-for-development
	$(BIN)/python benchmarks/run.py $(BENCH)

load: $(VENV)/installed-for-development
	$(BIN)/python benchmarks/load.py

# Looks for inputs that nobody thought of, so long for each harness; what it finds stays in $(FUZZ).
FUZZ_SECONDS ?= 60
FUZZ := $(VENV)/fuzz
fuzz: $(VENV)/installed-for-development
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group fuzz
	mkdir -p $(FUZZ)
	PYTHONPATH=tests $(BIN)/python fuzz/fits.py $(FUZZ)/fits -max_len=30000 \
		-max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(FUZZ)/fits-
	$(BIN)/python fuzz/lists.py $(FUZZ)/lists -max_len=4000 \
		-max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(FUZZ)/lists-

# Every version that development and CI use, for all supported Pythons.
lock: $(VENV)/installed-for-development
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" \
		pyproject.toml --group test --group lint --group bench --group docs --output-file requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" \
		pyproject.toml --group datasets3 --output-file requirements-datasets3.txt
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" \
		pyproject.toml --group lightkurve --output-file requirements-lightkurve.txt

clean:
	rm -rf $(VENV) demo-data site .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tessloom needs Python 3.11 or later; choose one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-for-development: $(VENV)/installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	touch $@

$(DATASETS3)/installed $(LIGHTKURVE)/installed: $(VENV)/%/installed: $(VENV)/installed requirements-%.txt
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
		--editable . --requirement requirements-$*.txt
	touch $@
