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

.PHONY: help run report ui plots explore propose difference feedback serve container container-test cluster-test
.PHONY: released push stack results screenshots setup test lint format verify lock record trials bench
.PHONY: bench-serve bench-gpu bench-scale fuzz

# make help prints each target's words after ##, under the group that stands above it.
help:
	@awk -F ':.*  ## ' '/^## / { group = substr($$0, 4) } \
		/^[a-z-]+:.*  ## / { printf "%-16s make %-15s %s\n", group, $$1, $$2; group = "" }' Makefile

## run and look
run: $(STAMP)  ## the whole pipeline, then the report; also plain `make`
	@sh scripts/restore.sh
	@digitline run
	@digitline promote
	@digitline runs
	@digitline leaderboard
	@digitline report
	@printf '\nmake ui     every run, in MLflow       http://127.0.0.1:5000\n'
	@printf 'make serve  the champion, over HTTP    http://127.0.0.1:3000\n'

report: $(STAMP)  ## reports/site/index.html: the study as pages
	@dvc repro
	@digitline report

ui: PORT := 5000
ui: $(STAMP)  ## MLflow with every run, on port 5000; PORT=5001 for another
	@digitline runs
	@python -m scripts.port ui $(PORT)
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --port $(PORT)

plots: $(STAMP)  ## DVC's plots as one page
	@dvc plots show

explore: $(STAMP)  ## a network's layers and their cost; VARIANT=conv2 for one
	@digitline explore $(VARIANT)

## change, compare
propose: $(STAMP)  ## the pipeline as an experiment, which promotes nothing
	@sh scripts/restore.sh
	@dvc exp run
	@digitline leaderboard
	@digitline report

difference: $(STAMP)  ## parameters and metrics against HEAD; BASE=REVISION
	@python -m scripts.difference

feedback: $(STAMP)  ## an experiment that also trains with corrections of the page
	@dvc repro --quiet fetch
	@corrections=$$(digitline feedback) && dvc exp run --set-param "feedback=$$corrections" compare
	@printf '\nTo compare: dvc exp show. To undo: git checkout . && dvc checkout\n'

## serve and ship
serve: PORT := 3000
serve: $(STAMP)  ## the champion and its page on port 3000; PORT=3001
	@python -m scripts.port serve $(PORT)
	@bentoml serve --port $(PORT)

TORCH ?= cuda
container: $(STAMP)  ## the champion as a container image; TORCH=cpu without PyTorch
	@python -m scripts.container $(TORCH)

container-test: $(STAMP)  ## build the image, run it, send it the test set; the stack
	@if [ -e models/champion/model.safetensors ]; then python -m scripts.container $(TORCH) && \
		IMAGE=digitline:$(TORCH) pytest -m container tests/scripts/test_container.py tests/deploy; \
	else pytest -m container tests/scripts/test_container.py tests/deploy; fi

cluster-test: $(STAMP)  ## install Ray; nodes in network namespaces, shards, kubectl
	@pip install --disable-pip-version-check --quiet $$(grep '^ray==' requirements.lock)
	@pytest -m cluster tests/compute tests/model tests/deploy

released: $(STAMP)  ## whether the image has the champion of the committed ledger
	@python -m scripts.released digitline:$(TORCH)

stack: $(STAMP)  ## MLflow, service, Prometheus, Grafana; ARGS=down ends them
	@python -m scripts.stack $(ARGS)

push: $(STAMP)  ## push the image; TO=registry/name:tag
	@python -m scripts.push digitline:$(TORCH) "$(TO)"

## share
results: $(STAMP)  ## after a run: the times, the machine and the tables of docs
	@digitline results

screenshots: $(STAMP)  ## after a run: docs/images, the page and the report
	@python -m scripts.screenshots

## check
setup: $(STAMP)  ## install into .venv what requirements.lock pins
	@echo "Installed. The tools without make: source .venv/bin/activate"

test: $(STAMP)  ## run the tests; ARGS=tests/model, ARGS='-m "not slow"'
	@pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP)  ## what CI checks besides the tests
	@ruff check
	@ruff format --check
	@mypy
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@zizmor --quiet --offline --pedantic .github

format: $(STAMP)  ## format the code
	@ruff check --fix
	@ruff format

fuzz: $(STAMP)  ## generated requests to the service; ARGS=--examples=50
	@PYTHONPATH=src python -m tests.fuzz $(ARGS)

verify: $(STAMP)  ## rerun in a fresh clone: same dvc.lock? ARGS=--tolerance=0.01
	@python -m scripts.verify $(ARGS)

lock: $(STAMP)  ## requirements.lock from pyproject.toml; ARGS=--upgrade
	@pip-compile --quiet $(ARGS) --extra cluster --extra dev --extra shared --allow-unsafe --strip-extras --no-annotate --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml
	@{ echo '# By make lock. Without +cpu and the like: each machine takes the build of torch that its index offers.'; \
		sed -e '/^#/d' -e '/^$$/d' -e 's/+[a-z0-9.]*$$//' requirements.lock; } > requirements.new && mv requirements.new requirements.lock

## measure
record: $(STAMP)  ## long schedules and the ablation; takes hours, resumes
	@python -m studies.record record
	@python -m studies.record ablation
	@python -m studies.record fashion
	@digitline leaderboard record
	@digitline leaderboard ablation
	@digitline leaderboard fashion

trials: $(STAMP)  ## the champion on sheets of paper, letters, shapes, clothes
	@python -m studies.handwriting

bench: $(STAMP)  ## training against the usual PyTorch script
	@dvc repro fetch
	@python -m benchmarks.bench_train

bench-serve: $(STAMP)  ## the service against other servers; ARGS="--seconds 1"
	@python -m benchmarks.bench_serve $(ARGS)
	@python -m benchmarks.bench_pictures
	@digitline leaderboard serving

bench-scale: $(STAMP)  ## training on Ray against processes, and in shards
	@dvc repro fetch
	@python -m benchmarks.bench_shards
	@pip install --disable-pip-version-check --quiet $$(grep '^ray==' requirements.lock)
	@unshare --map-root-user --net sh -c 'ip link set lo up && python -m benchmarks.bench_scale $(ARGS)'

bench-gpu: $(STAMP)  ## the service on a GPU against the processor
	@dvc repro fetch
	@python -m benchmarks.bench_gpu $(ARGS)
