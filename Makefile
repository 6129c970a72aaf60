# Everything runs in .venv/BUILD-VERSION, made when first needed; see .ci/envs.py and CONTRIBUTING.md.
#   PYTHON=python3.13   another interpreter
#   TESTS=tests/unit    some of the tests; more of pytest's options fit in, too
#   ARGS='--port 7000'  for what `make run`, `make bench` and `make cpython` start

PYTHON ?= python3
TESTS ?=
ARGS ?=
# A hung test says where after a minute (faulthandler); this ends the run.
LIMIT ?= 1200

VERSION := $(shell $(PYTHON) -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}")')
ENVS := $(PYTHON) .ci/envs.py
PYTHONS ?= $(shell $(ENVS) pythons)
LINT := .venv/lint-$(VERSION)/bin
PYTEST := -m pytest
SOURCES := src tests setup.py .ci $(wildcard bench)

.DEFAULT_GOAL := help
.PHONY: help run test lint checkers ruff mypy imports cython headers
.PHONY: test-compiled test-interpreted test-checked matrix cpython dist test-dist bench clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z].*: .*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run:  ## install into a fresh environment and start the server on 127.0.0.1
	@$(ENVS) build auto
	@exec .venv/auto-$(VERSION)/bin/knote serve $(ARGS)

test: lint test-compiled test-interpreted  ## every check, then all tests on both builds

lint: ruff mypy imports cython headers  ## every checker; each is a target of its own, and -k runs all

checkers:
	@$(ENVS) lint

ruff: checkers
	$(LINT)/ruff check $(SOURCES)

mypy: checkers
	$(LINT)/mypy

imports: checkers
	PYTHONPATH=src $(LINT)/lint-imports --no-cache

cython: checkers
	PATH="$(LINT):$$PATH" find src -name '*.py[xd]' -exec $(LINT)/cython-lint {} +

headers:
	@for header in $$(find src -name '*.h'); do \
	  echo "gcc -fsyntax-only $$header"; \
	  $${CC:-gcc} -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -x c $$header || exit 1; \
	done

test-compiled test-interpreted test-checked: test-%:  ## all tests on one build
	@$(ENVS) build $*
	KNOTE_EXPECT_BUILD=$(if $(filter checked,$*),compiled,$*) \
	  timeout --kill-after=30 $(LIMIT) .venv/$*-$(VERSION)/bin/python $(PYTEST) $(TESTS)

matrix:  ## both builds on every supported CPython of this machine
	@for python in $(PYTHONS); do \
	  for build in compiled interpreted; do \
	    echo "--- $$build, $$python"; \
	    $(MAKE) --no-print-directory PYTHON=$$python TESTS='$(TESTS)' test-$$build || exit 1; \
	  done; \
	done

cpython:  ## CPython's own tests of kqueue, selectors and asyncio, on both builds
	@for build in compiled interpreted; do \
	  $(ENVS) build $$build && KNOTE_EXPECT_BUILD=$$build \
	    timeout --kill-after=30 $(LIMIT) .venv/$$build-$(VERSION)/bin/python -m tests.cpython $(ARGS) || exit 1; \
	done

dist:  ## sdist and wheels into dist/
	@$(ENVS) dist

test-dist:  ## build dist/, install from it where no checkout is, run the tests there
	@timeout --kill-after=30 $(LIMIT) $(ENVS) test-dist -- $(TESTS)

bench:  ## measure, on a compiled build
	@$(ENVS) build bench
	.venv/bench-$(VERSION)/bin/python -m bench $(ARGS)

clean:  ## remove everything that a build or a test run made
	rm -rf .venv build dist src/*.egg-info .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
