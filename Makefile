# Every target works alone on a fresh clone. The tools work without make as well: source .venv/bin/activate.
.DEFAULT_GOAL := run
SHELL := /bin/sh
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Named by what is installed and where, made last: an interrupted, outdated or moved installation has no such file.
INSTALLERS := scripts/setup.sh scripts/quiet.pth scripts/plots_page.py
STAMP := .venv/installed-$(firstword $(shell { pwd; cat requirements.lock pyproject.toml $(INSTALLERS); } | cksum))

$(STAMP):
	@sh scripts/setup.sh
	@rm -f .venv/installed-*
	@touch $@

.PHONY: help run setup test lint format ui serve report explore plots difference verify record bench lock
help:  ## what there is
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / { printf "make %-12s%s\n", $$1, $$2 }' Makefile

run: $(STAMP)  ## data to champion: whatever an edit has touched since the last run
	@dvc repro
	@python -m pipeline.leaderboard
	@python -m pipeline.report
	@printf '\nmake ui     every run, in MLflow       http://127.0.0.1:5000\n'
	@printf 'make serve  the champion, over HTTP    http://127.0.0.1:3000\n'

setup: $(STAMP)  ## .venv with everything that requirements.lock pins
	@echo "Installed. The tools without make: source .venv/bin/activate"

test: $(STAMP)  ## the tests
	@pytest

lint: $(STAMP)  ## what CI and pre-commit check besides the tests
	@ruff check
	@ruff format --check
	@mypy
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@zizmor --quiet --offline --pedantic .github
	@python scripts/dag.py --check

format: $(STAMP)  ## code and the DAG's picture, brought in order
	@ruff check --fix
	@ruff format
	@python scripts/dag.py

ui: $(STAMP)  ## MLflow on port 5000
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1

serve: $(STAMP)  ## the champion on port 3000
	@bentoml serve

report: $(STAMP)  ## reports/site/index.html: the whole study as pages to look at
	@dvc repro
	@python -m pipeline.report

explore: $(STAMP)  ## the arithmetic of a variant's layers, or of all: VARIANT=conv2
	@python -m pipeline.explore $(VARIANT)

plots: $(STAMP)  ## DVC's plots, as one page
	@dvc plots show

difference: $(STAMP)  ## parameters and metrics against the last commit, or against BASE=...
	@sh scripts/difference.sh

verify: $(STAMP)  ## the whole line again in a fresh clone, which must end with this dvc.lock
	@sh scripts/verify.sh

record: $(STAMP)  ## the studies of record.yaml, into reports/record and reports/ablation: hours, resumed if cut short
	@python scripts/record.py record
	@python scripts/record.py ablation
	@python -m pipeline.leaderboard record
	@python -m pipeline.leaderboard ablation

bench: $(STAMP)  ## training against the usual script and the processor's floor, into reports/bench
	@dvc repro fetch
	@python -m scripts.bench

lock: $(STAMP)  ## requirements.lock from pyproject.toml; ARGS=--upgrade takes newer versions
	@pip-compile --quiet $(ARGS) --extra dev --allow-unsafe --strip-extras --no-annotate --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml
	@{ echo '# By make lock. Without +cpu and the like: each machine takes the build of torch that its index offers.'; \
		sed -e '/^#/d' -e '/^$$/d' -e 's/+[a-z0-9.]*$$//' requirements.lock; } > requirements.new && mv requirements.new requirements.lock
