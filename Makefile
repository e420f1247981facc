# Every target works on a fresh clone. To use the tools without make: source .venv/bin/activate.
.DEFAULT_GOAL := run
SHELL := /bin/sh
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Its name depends on the contents and the place of the installation, and it is made last, so that an interrupted,
# outdated or moved installation lacks it.
INSTALLERS := scripts/setup.sh scripts/quiet.pth scripts/plots_page.py
STAMP := .venv/installed-$(firstword $(shell { pwd; cat requirements.lock pyproject.toml $(INSTALLERS); } | cksum))

$(STAMP):
	@sh scripts/setup.sh
	@rm -f .venv/installed-*
	@touch $@

.PHONY: help run propose small-lock results released setup test lint format ui serve feedback container container-test push report explore plots difference
.PHONY: verify record bench bench-serve trials lock
help:  ## list the targets
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "make %-16s%s\n", $$1, $$2 }' Makefile

run: $(STAMP)  ## from data to champion: run what has changed since the last run
	@sh scripts/restore.sh
	@dvc repro
	@digitline promote
	@digitline runs
	@digitline leaderboard
	@digitline report
	@printf '\nmake ui     every run, in MLflow       http://127.0.0.1:5000\n'
	@printf 'make serve  the champion, over HTTP    http://127.0.0.1:3000\n'

propose: $(STAMP)  ## run the pipeline as an experiment, which judges the leader and promotes nothing
	@sh scripts/restore.sh
	@dvc exp run
	@digitline leaderboard
	@digitline report

small-lock: $(STAMP)  ## write the dvc.lock of the whole pipeline on a small data set to TO=...
	@PYTHONPATH=src python -m tests.small "$(TO)"

results: $(STAMP)  ## after make, write the results that git tracks: times, machine, README's tables
	@digitline results

setup: $(STAMP)  ## install everything in requirements.lock into .venv
	@echo "Installed. To use the tools without make: source .venv/bin/activate"

test: $(STAMP)  ## run the tests in parallel; ARGS=tests/model selects some, ARGS='-m "not slow"' the fast ones
	@pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP)  ## run the checks of CI and pre-commit besides the tests
	@ruff check
	@ruff format --check
	@mypy
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@zizmor --quiet --offline --pedantic .github

format: $(STAMP)  ## format the code
	@ruff check --fix
	@ruff format

ui: PORT := 5000
ui: $(STAMP)  ## start MLflow on port 5000, or PORT=...
	@digitline runs
	@python -m scripts.port ui $(PORT)
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --port $(PORT)

serve: PORT := 3000
serve: $(STAMP)  ## serve the champion on port 3000, or PORT=...
	@python -m scripts.port serve $(PORT)
	@bentoml serve --port $(PORT)

TORCH ?= cuda
container: $(STAMP)  ## build a container image of the champion; TORCH=cpu omits CUDA
	@python -m scripts.container $(TORCH)

container-test: $(STAMP)  ## run that image, or a small one if there is no champion, with the whole test set over HTTP
	@if [ -e models/champion/model.safetensors ]; then python -m scripts.container $(TORCH) && \
		IMAGE=digitline:$(TORCH) pytest -m container tests/scripts/test_container.py; \
	else pytest -m container tests/scripts/test_container.py; fi

released: $(STAMP)  ## check that the image has the champion of the committed ledger
	@python -m scripts.released digitline:$(TORCH)

push: $(STAMP)  ## push the image to TO=registry/name:tag
	@python -m scripts.push digitline:$(TORCH) "$(TO)"

feedback: $(STAMP)  ## train an experiment with the corrections from the page
	@dvc repro --quiet fetch
	@corrections=$$(digitline feedback) && dvc exp run --set-param "feedback=$$corrections" compare
	@printf '\nCompare it: dvc exp show. Undo it: git checkout . && dvc checkout\n'

report: $(STAMP)  ## write the study as web pages, reports/site/index.html
	@dvc repro
	@digitline report

explore: $(STAMP)  ## print the arithmetic of the layers of all variants, or of VARIANT=...
	@digitline explore $(VARIANT)

plots: $(STAMP)  ## write DVC's plots as one page
	@dvc plots show

difference: $(STAMP)  ## compare parameters and metrics with the last commit, or with BASE=...
	@sh scripts/difference.sh

verify: $(STAMP)  ## run the whole pipeline in a fresh clone, which must give the same dvc.lock; ARGS=--tolerance=0.01
	@python -m scripts.verify $(ARGS)

record: $(STAMP)  ## run the studies of studies/record.yaml into reports/record and reports/ablation: takes hours, can be resumed
	@python -m studies.record record
	@python -m studies.record ablation
	@digitline leaderboard record
	@digitline leaderboard ablation

bench: $(STAMP)  ## measure training against a usual script and the processor's limit, into reports/bench
	@dvc repro fetch
	@python -m benchmarks.bench_train

trials: $(STAMP)  ## test the champion on sheets of paper, letters and scribbles, into reports/trials.json
	@python -m studies.handwriting

bench-serve: $(STAMP)  ## measure the service against other servers, runtimes and its limits, into reports/bench; ARGS="--seconds 1"
	@python -m benchmarks.bench_serve $(ARGS)
	@digitline leaderboard serving

lock: $(STAMP)  ## write requirements.lock from pyproject.toml; ARGS=--upgrade takes newer versions
	@pip-compile --quiet $(ARGS) --extra dev --extra shared --allow-unsafe --strip-extras --no-annotate --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml
	@{ echo '# By make lock. Without +cpu and the like: each machine takes the build of torch that its index offers.'; \
		sed -e '/^#/d' -e '/^$$/d' -e 's/+[a-z0-9.]*$$//' requirements.lock; } > requirements.new && mv requirements.new requirements.lock
