# Everything a newcomer needs: `make demo` and `make test`. Both make the virtual environment first.
# PYTHON=... picks the interpreter (3.11 or newer), OUT=... the folder of the demonstration.

PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$name; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
OUT ?= neurolysis-demo
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo page test lint verify fuzz bench docs generated lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       plan the shipped case and write $(OUT)/report.html, report.pdf, plan.json"
	@echo "make page       build the workstation's page again after a change of frontend/"
	@echo "make test       ruff, mypy and pytest"
	@echo "make verify     the longer verification tests"
	@echo "make fuzz       ten minutes of fuzzing of everything that reads an image (SECONDS=...)"
	@echo "make bench      the benchmarks"
	@echo "make docs       the site, in site/"
	@echo "make generated  the schemas and the case file page, from the program"
	@echo "make lock       resolve the locked requirements again"

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found; name one with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }

# A stamp is newer than what it was made from only after a complete installation.
$(VENV)/installed: $(VENV)/pyvenv.cfg requirements.lock pyproject.toml
	$(PIP) -r requirements.lock
	$(PIP) --no-deps -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	$(PIP) -r requirements-dev.lock
	@touch $@

demo: $(VENV)/installed
	$(BIN)/neurolysis demo --out $(OUT)

# A machine's own node comes first; where there is none, the one among the developers' packages.
page: $(VENV)/installed-dev
	@PATH="$$PATH:$(CURDIR)/$(BIN)" $(BIN)/python hatch_build.py

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint page
	@PATH="$$PATH:$(CURDIR)/$(BIN)" $(BIN)/python -m pytest -m "not verify" -n 2 --dist loadfile -rs

verify: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m verify

fuzz: $(VENV)/installed-dev
	$(BIN)/python fuzz/fuzz_images.py -max_total_time=$(or $(SECONDS),600) -rss_limit_mb=3000

bench: $(VENV)/installed-dev
	$(BIN)/python -m pytest benchmarks
	$(BIN)/python benchmarks/measure.py --write docs/performance.md
	$(BIN)/python benchmarks/measure_spread.py --write docs/performance-spread.md
	$(BIN)/python benchmarks/measure_paths.py
	$(BIN)/python benchmarks/measure_drr.py
	$(BIN)/python benchmarks/measure_ultrasound.py
	$(BIN)/python benchmarks/measure_light.py --plan --page docs/performance-light.md
	$(BIN)/python benchmarks/measure_cryo.py --write docs/performance-cryo.md
	$(BIN)/python benchmarks/measure_release.py --write docs/performance-release.md
	$(BIN)/python benchmarks/measure_store.py
	$(BIN)/python benchmarks/measure_server.py
	$(BIN)/python benchmarks/measure_page.py

docs: $(VENV)/installed-dev
	$(BIN)/mkdocs build --strict --quiet
	@echo "the site is in site/index.html"

generated: $(VENV)/installed-dev
	$(BIN)/python scripts/generate_docs.py

lock: $(VENV)/installed-dev
	bash scripts/lock.sh

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis
