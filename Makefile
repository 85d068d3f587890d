# `make train` and `make test` are all that a fresh clone needs.

VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/dlcli
AT_ONCE := --numprocesses 2 --dist worksteal

.PHONY: train test test-slow test-all test-long check course docs headers schema networks bench clean

train: $(VENV)/installed
	$(RUN) train recipes/digits_convnet.yaml

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "not slow and not long" $(AT_ONCE)

test-slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "slow and not long" $(AT_ONCE)

test-all: test test-slow

# What counts in hundreds: kills, full disks at every write, random inputs. Hours; run it before a release.
test-long: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m long $(AT_ONCE)
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile long --timeout 3600 $(AT_ONCE)

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Runs every command of docs/course and compares what it prints and draws with the pages; a quarter of an hour.
course: $(VENV)/installed
	$(BIN)/python docs/run_course.py

# Trains the recipes that fit in an hour again, the quickest first, and compares them with their headers.
headers: $(VENV)/installed
	$(RUN) recipe verify recipes/*.yaml --minutes 60 --runs runs/headers

# The documentation as a site, in build/site: open its index.html, or serve the folder.
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

schema: $(VENV)/installed
	$(RUN) recipe schema > recipes/schema.json.new
	mv recipes/schema.json.new recipes/schema.json
	$(BIN)/python docs/make_keys.py docs/reference/keys

networks: $(VENV)/installed
	$(BIN)/python docs/make_networks.py > dlcli/report/cost/network_costs.json.new
	mv dlcli/report/cost/network_costs.json.new dlcli/report/cost/network_costs.json

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/training_loop.py
	$(BIN)/python benchmarks/checkpointing.py
	$(BIN)/python benchmarks/folder_memory.py
	$(BIN)/python benchmarks/many_classes.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/augmentation.py
	$(BIN)/python benchmarks/networks.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/transfer.py
	$(BIN)/python benchmarks/attack.py
	$(BIN)/python benchmarks/localization.py
	$(BIN)/python benchmarks/segmentation.py
	$(BIN)/python benchmarks/detection_evaluation.py
	$(BIN)/python benchmarks/sequences.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dlcli needs Python 3.11 or newer")'
	python3 -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
