# `make` alone lists the targets. Everything runs in the project's own .venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
export DVC_NO_ANALYTICS := 1
export NO_ALBUMENTATIONS_UPDATE := 1

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

# A run needs 2.0 GB; tests and benchmarks add 0.5 GB (clusters, linters, an S3 server).
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable .
	@touch $@

$(VENV)/developed: $(VENV)/installed
	$(INSTALL) --editable '.[dev]'
	@touch $@

install: $(VENV)/installed ## make .venv and install what a run needs
develop: $(VENV)/developed ## the same, and what tests and benchmarks need
release-check: $(VENV)/developed

repro: $(VENV)/installed ## prepare, say what the rest will cost, run it by dvc repro, print the summary
	@$(BIN)/dvc status -q --with-deps evaluate || \
		{ PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro prepare && { $(BIN)/ganaug plan || true; }; }
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro
	@$(BIN)/ganaug summary

check: $(VENV)/developed ## lint and types
	$(BIN)/ruff format --check src pipeline tests benchmarks .ci
	$(BIN)/ruff check src pipeline tests benchmarks .ci
	$(BIN)/mypy

test: check ## lint, types, all tests with the slow ones (what CI runs)
	$(BIN)/pytest
	$(BIN)/pytest -m slow -n 0  # one after the other: they measure time and use both cores

fast: $(VENV)/developed ## the quick tests only
	$(BIN)/pytest

bench: $(VENV)/developed ## benchmarks against named rivals; prints ratios (BENCH=name for one of them)
	$(BIN)/python -m benchmarks $(BENCH)

gpu-check: $(VENV)/installed ## on a machine with a GPU, ten minutes: correct? how fast? to results/gpu.json (DEVICE=cpu)
	$(BIN)/python -m benchmarks.gpu $(DEVICE)

storm: $(VENV)/developed ## kills, bad files, full disks, liars: docs/reliability.md (STORM=name for a part; resumes)
	$(BIN)/python -m benchmarks.storm $(STORM)

sweep: $(VENV)/installed ## train a grid as DVC experiments and rank them (GRID='train.lr=5e-4,1e-3 ...')
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks.sweep $(GRID)

grids: $(VENV)/installed ## a sample grid for each family and loss on digits, to docs/grids
	$(BIN)/python -m benchmarks.grids

studies: $(VENV)/installed ## the whole pipeline with few images, and README's table (STUDIES=name ...)
	$(BIN)/python -m benchmarks.studies $(STUDIES)

arena: $(VENV)/installed ## which images teach a classifier: docs/arena.md (CELLS="digits-long-tail ...", or small)
	$(BIN)/python -m benchmarks.arena $(CELLS)

table: $(VENV)/installed ## README's table from results
	@$(BIN)/python -m benchmarks.studies table

fresh: $(VENV)/installed ## fail if code or params changed since the committed dvc.lock
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python .ci/fresh.py

compare: $(VENV)/installed ## metrics, params and sample images as Markdown (BASE=main IMAGES=url-of-this-tree)
	@$(BIN)/dvc metrics diff --md $(BASE)
	@$(BIN)/dvc params diff --md $(BASE)
	@for image in results/report/figures/examples-*.png; do echo "![$$image]($(IMAGES)$$image)"; done

release-check: $(VENV)/installed ## after repro: load, export, push, clone, pull and verify data/augmented
	@$(BIN)/python -m benchmarks.release_check

remote: $(VENV)/installed ## take DVC_REMOTE (folder, s3://, gs://, ssh://) as the remote of this checkout
	$(if $(filter s3://%,$(DVC_REMOTE)),$(INSTALL) --editable '.[s3]')
	@$(BIN)/dvc remote add --local --force --default storage "$(DVC_REMOTE)"

# Not --allow-missing: with it DVC neither makes what the remote lacks nor fails to push it.
publish: $(VENV)/installed ## what dvc.lock names, made again where the remote lacks it, to the remote
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro --pull
	git diff --exit-code dvc.lock
	$(BIN)/dvc push

consume: $(VENV)/installed ## pull the dataset and the generator from the remote, and verify
	$(BIN)/dvc pull data/augmented models/generator
	$(BIN)/ganaug verify data/augmented

record: table ## push data, then dvc.lock, results and README's table: as a commit to this branch
	$(BIN)/dvc push
	git add dvc.lock results README.md
	git diff --cached --quiet || \
		git -c user.name=ganaug -c user.email=ganaug@localhost commit --message "Record the run"
	git push

clean: ## remove caches, saved training states and build leftovers; data and results stay
	rm -rf .ganaug .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist dvc_plots

.PHONY: help install develop repro check test fast bench storm sweep gpu-check grids studies arena table fresh compare release-check remote publish consume record clean
