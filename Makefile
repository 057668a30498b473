# make env | test | lint | bench | docs
.PHONY: env test lint bench docs
.DEFAULT_GOAL := test

python := tools/venv/bin/python
# What is tested is this checkout, also where the environment is a link to another one's.
export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))
# Processes that run the tests; 0: in one process, as for a debugger.  A file's tests stay together,
# so that what they share (a trained model, a Slurm) is made once.
workers ?= 2
shell_scripts := $(shell git ls-files --cached --others --exclude-standard '*.sh' .ci/run 2>/dev/null)

env: ## the Python environment (a second when it is there)
	tools/install.sh

test: env ## pytest; PYTEST_ARGS="tests/setup -x" for a part
	OMP_NUM_THREADS=1 $(python) -m pytest -n $(workers) --dist loadfile $(PYTEST_ARGS)

lint: env ## ruff, and shellcheck where it is installed
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	@if command -v shellcheck >/dev/null; then \
	  echo "shellcheck $(words $(shell_scripts)) files"; \
	  shellcheck --external-sources --severity=warning --exclude=SC2034 $(shell_scripts); \
	else echo "shellcheck is not installed: shell scripts are not checked"; fi

bench: env ## every speed claim, measured here and now; run it on a quiet machine
	@for file in benchmarks/bench_*.py; do echo "$$file"; $(python) "$$file" || exit 1; done

docs: ## the API reference from the docstrings, in build/docs (pdoc imports every module: a minute)
	tools/install.sh --extras docs
	rm -rf build/docs
	$(python) -m pdoc --docformat google --no-show-source --output-directory build/docs asr_dro_plugin
	@echo "build/docs/index.html"
