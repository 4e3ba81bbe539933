# make demo    the main job on real input, from a local web site to shards
# make test    everything that has to hold: lint, types, tests, the wheel, the documentation
# make docs    the documentation as a site, in build/docs
# make bench-… / check-… / experiment-…   measurements, see tests/benchmarks/RESULTS.md; FULL=1 runs the full form

SHELL := /bin/bash
PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
BIN := .venv/bin
PINS := constraints/py$(VERSION).txt
# Compiled bytecode makes the heavy imports several times faster; worker processes share the cores, so one thread each.
export PYTHONDONTWRITEBYTECODE =
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help install demo test lint types unit wheel docs oracles ffmpeg prometheus chromium voices clean pins
.DEFAULT_GOAL := help

help:
	@sed -n '1,5p' Makefile | sed 's/^# //'

install: .venv/.installed

.venv/.installed: $(PINS) constraints/uv.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r $(PINS)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: install
	$(BIN)/python tests/demo/demo.py

# What needs one core runs beside the tests; what writes the generated pages runs after the test that they are current.
test: lint
	@$(MAKE) --no-print-directory --jobs 2 unit types wheel
	@$(MAKE) --no-print-directory docs

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# NIST's rover, the oracle of the aligner; its tests are skipped, and say so, where it cannot be installed.
oracles:
	@test -x /usr/lib/sctk/bin/rover || { test "$$(id -u)" = 0 && (apt-get update -qq && apt-get install -y -qq sctk) >/dev/null 2>&1; } || echo "sctk is not installed: apt-get install sctk"

# One more than two cores: many tests wait for other processes.
# A process that died is not replaced: with groups xdist 3.8 may then wait for ever (its issues 1323, 1327).
unit: install oracles ffmpeg
	$(BIN)/pytest -q -n 3 --dist loadgroup --max-worker-restart 0

# The generated pages of docs/reference and deploy/monitoring, and the site in build/docs: every warning is an error, every link is followed.
docs: install
	$(BIN)/python tests/docs/reference.py
	$(BIN)/python tests/deploy/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python tests/docs/site_links.py build/docs

wheel: install
	$(BIN)/python tests/wheel.py

bench-%: install oracles voices
	$(BIN)/python tests/benchmarks/bench_$(subst -,_,$*).py $(if $(filter-out 0,$(FULL)),--full)

# Synthesised voices: what experiments learn and some benches hear. LIMIT=540 stops an experiment after so many seconds, to go on later.
voices:
	@{ command -v espeak-ng && command -v flite; } >/dev/null || { test "$$(id -u)" = 0 && (apt-get update -qq && apt-get install -y -qq espeak-ng flite) >/dev/null 2>&1; } || echo "espeak-ng or flite is not installed: apt-get install espeak-ng flite"

experiment-%: install voices
	$(BIN)/python tests/benchmarks/experiment_$(subst -,_,$*).py $(if $(filter-out 0,$(FULL)),--full) $(if $(LIMIT),--limit-seconds $(LIMIT))

# Debian's ffmpeg: the oracle of how many seconds a file holds. Its libraries are what `datasets` opens audio with, and Chromaprint is one of them.
ffmpeg:
	@command -v ffmpeg >/dev/null || { test "$$(id -u)" = 0 && (apt-get update -qq && apt-get install -y -qq ffmpeg) >/dev/null 2>&1; } || echo "ffmpeg is not installed: apt-get install ffmpeg"

check-wild check-readers check-exports check-sources check-terminal: ffmpeg

# Prometheus and its promtool, for what dashboard and alerts ask; kubectl builds what is applied to a cluster.
prometheus:
	@{ command -v promtool && command -v kubectl; } >/dev/null || { test "$$(id -u)" = 0 && (apt-get update -qq && apt-get install -y -qq prometheus kubectl) >/dev/null 2>&1; } || echo "prometheus or kubectl is not installed: apt-get install prometheus kubernetes-client"

check-deploy: prometheus

# Debian's Chromium, for the page of `voxmill view`.
chromium:
	@{ command -v chromium && command -v chromedriver && command -v npm; } >/dev/null || { test "$$(id -u)" = 0 && (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver npm) >/dev/null 2>&1; } || echo "chromium is not installed: apt-get install chromium chromium-driver npm"

check-view: chromium

check-%: install oracles voices
	$(BIN)/python tests/benchmarks/check_$(subst -,_,$*).py $(if $(filter-out 0,$(FULL)),--full)

# Re-resolves the pins of every supported Python; hashes only, no registry address.
pins: install
	for v in 3.10 3.11 3.12 3.13; do \
	  $(BIN)/uv pip compile -q --python-version $$v --python-platform x86_64-manylinux_2_34 --extra all --extra dev --extra docs --extra s3 --extra gcs --extra funasr \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml -o constraints/py$$v.txt || exit 1; \
	done

clean:
	rm -rf .venv .cache runs build dist src/*.egg-info
