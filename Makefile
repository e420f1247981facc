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

.PHONY: help run propose small-lock results released setup test lint format ui serve feedback container container-test push report explore plots difference
.PHONY: verify record bench bench-serve trials lock
help:  ## what there is
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "make %-16s%s\n", $$1, $$2 }' Makefile

run: $(STAMP)  ## data to champion: whatever an edit has touched since the last run
	@sh scripts/restore.sh
	@dvc repro
	@digitline promote
	@digitline runs
	@digitline leaderboard
	@digitline report
	@printf '\nmake ui     every run, in MLflow       http://127.0.0.1:5000\n'
	@printf 'make serve  the champion, over HTTP    http://127.0.0.1:3000\n'

propose: $(STAMP)  ## what an edit would do: the pipeline as an experiment, which judges the leader and promotes nothing
	@sh scripts/restore.sh
	@dvc exp run
	@digitline leaderboard
	@digitline report

small-lock: $(STAMP)  ## dvc.lock of the whole pipeline on a small data set, into TO=...
	@PYTHONPATH=src python -m tests.small "$(TO)"

results: $(STAMP)  ## after make, what git keeps of this machine's run: its times, itself, README's tables
	@digitline results

setup: $(STAMP)  ## .venv with everything that requirements.lock pins
	@echo "Installed. The tools without make: source .venv/bin/activate"

test: $(STAMP)  ## the tests, files side by side; ARGS=tests/model takes some of them, ARGS='-m "not slow"' the fast ones
	@pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP)  ## what CI and pre-commit check besides the tests
	@ruff check
	@ruff format --check
	@mypy
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@zizmor --quiet --offline --pedantic .github

format: $(STAMP)  ## code, brought in order
	@ruff check --fix
	@ruff format

ui: PORT := 5000
ui: $(STAMP)  ## MLflow on port 5000; PORT=5001 for another
	@digitline runs
	@python -m scripts.port ui $(PORT)
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --port $(PORT)

serve: PORT := 3000
serve: $(STAMP)  ## the champion on port 3000; PORT=3001 for another
	@python -m scripts.port serve $(PORT)
	@bentoml serve --port $(PORT)

TORCH ?= cuda
container: $(STAMP)  ## the champion as a container image; TORCH=cpu leaves CUDA out
	@python -m scripts.container $(TORCH)

container-test: $(STAMP)  ## that image, or a small one where there is no champion, run: the whole test set over HTTP
	@if [ -e models/champion/model.safetensors ]; then python -m scripts.container $(TORCH) && \
		IMAGE=digitline:$(TORCH) pytest -m container tests/scripts/test_container.py; \
	else pytest -m container tests/scripts/test_container.py; fi

released: $(STAMP)  ## whether that image carries the champion of the ledger as it is committed
	@python -m scripts.released digitline:$(TORCH)

push: $(STAMP)  ## that image into a registry, as TO=registry/name:tag
	@python -m scripts.push digitline:$(TORCH) "$(TO)"

feedback: $(STAMP)  ## what was corrected on the page, and an experiment trained with it
	@dvc repro --quiet fetch
	@corrections=$$(digitline feedback) && dvc exp run --set-param "feedback=$$corrections" compare
	@printf '\nHeld against the rest: dvc exp show. As before: git checkout . && dvc checkout\n'

report: $(STAMP)  ## reports/site/index.html: the whole study as pages to look at
	@dvc repro
	@digitline report

explore: $(STAMP)  ## the arithmetic of a variant's layers, or of all: VARIANT=conv2
	@digitline explore $(VARIANT)

plots: $(STAMP)  ## DVC's plots, as one page
	@dvc plots show

difference: $(STAMP)  ## parameters and metrics against the last commit, or against BASE=...
	@python -m scripts.difference

verify: $(STAMP)  ## the whole line again in a fresh clone, which must end with this dvc.lock; ARGS=--tolerance=0.01
	@python -m scripts.verify $(ARGS)

record: $(STAMP)  ## the studies of studies/record.yaml, into reports/record and reports/ablation: hours, resumed if cut short
	@python -m studies.record record
	@python -m studies.record ablation
	@digitline leaderboard record
	@digitline leaderboard ablation

bench: $(STAMP)  ## training against the usual script and the processor's floor, into reports/bench
	@dvc repro fetch
	@python -m benchmarks.bench_train

trials: $(STAMP)  ## the champion, tried with sheets of paper, letters and scribbles, into reports/trials.json
	@python -m studies.handwriting

bench-serve: $(STAMP)  ## the service against other servers, runtimes and its own limits, into reports/bench; ARGS="--seconds 1"
	@python -m benchmarks.bench_serve $(ARGS)
	@digitline leaderboard serving

lock: $(STAMP)  ## requirements.lock from pyproject.toml; ARGS=--upgrade takes newer versions
	@pip-compile --quiet $(ARGS) --extra dev --extra shared --allow-unsafe --strip-extras --no-annotate --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml
	@{ echo '# By make lock. Without +cpu and the like: each machine takes the build of torch that its index offers.'; \
		sed -e '/^#/d' -e '/^$$/d' -e 's/+[a-z0-9.]*$$//' requirements.lock; } > requirements.new && mv requirements.new requirements.lock
