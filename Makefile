# Everything runs in .venv/BUILD-VERSION, made when first needed; see .ci/envs.py and CONTRIBUTING.md.
#   PYTHON=python3.13   another interpreter
#   TESTS=tests/unit    some of the tests; more of pytest's options fit in, too
#   BUILDS=compiled     of `make matrix`: one build only
#   ENGINES=poll,select of `make test-engines`: these
#   ARGS='--port 7000'  for what `make run`, `make bench`, `make cpython` and `make clients` start

PYTHON ?= python3
TESTS ?=
ARGS ?=
# A hung test says where after a minute (faulthandler); this ends the run.
LIMIT ?= 1200

VERSION := $(shell $(PYTHON) -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}")')
ENVS := $(PYTHON) .ci/envs.py
PYTHONS ?= $(shell $(ENVS) pythons)
BUILDS ?= compiled interpreted
ENGINES ?= others
LINT := .venv/lint-$(VERSION)/bin
PYTEST := -m pytest
SOURCES := src tests setup.py .ci $(wildcard bench examples)

.DEFAULT_GOAL := help
.PHONY: help run test lint checkers ruff mypy imports cython headers
.PHONY: test-engines test-compiled test-interpreted test-checked matrix cpython dist test-dist bench bench-docs clean
.PHONY: pages clients soak-attack soak-serve soak-cycles soak-faults soak-model soak-owners sandbox sanitize tsan

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

# Big numbers of children, files and requests, which say nothing about the engine.
HEAVY := $(addprefix --ignore=tests/behaviour/test_,vnode_model.py proc_many.py aio_many.py signal_storm.py)

test-engines:  ## the behaviour and the recorded traces on every engine but the default, compiled
	@$(ENVS) build compiled
	KNOTE_TEST_ENGINES=$(ENGINES) KNOTE_EXPECT_BUILD=compiled timeout --kill-after=30 $(LIMIT) \
	  .venv/compiled-$(VERSION)/bin/python $(PYTEST) $(HEAVY) \
	  $(if $(TESTS),$(TESTS),tests/behaviour tests/oracle tests/engines)

matrix:  ## both builds on every supported CPython of this machine
	@for python in $(PYTHONS); do \
	  for build in $(BUILDS); do \
	    echo "--- $$build, $$python"; \
	    $(MAKE) --no-print-directory PYTHON=$$python TESTS='$(TESTS)' test-$$build || exit 1; \
	  done; \
	done

cpython:  ## CPython's own tests of kqueue, selectors and asyncio, on both builds
	@for build in compiled interpreted; do \
	  $(ENVS) build $$build && KNOTE_EXPECT_BUILD=$$build \
	    timeout --kill-after=30 $(LIMIT) .venv/$$build-$(VERSION)/bin/python -m tests.cpython $(ARGS) || exit 1; \
	done

clients:  ## programs from PyPI that have a kqueue back end, unmodified, on the compiled build
	@$(ENVS) build clients
	.venv/clients-$(VERSION)/bin/python -m tests.clients $(ARGS)

soak-model:  ## a million random steps on the compiled build and on a model of kqueue (ARGS='--seed 1')
	@$(ENVS) build compiled
	.venv/compiled-$(VERSION)/bin/python -m tests.soak.model $(ARGS)

soak-attack:  ## knote serve under resets, slow and silent clients, floods; replies and memory are checked (ARGS='--scale 0.1')
	@$(ENVS) build compiled
	.venv/compiled-$(VERSION)/bin/python -m tests.soak.attack $(ARGS)

soak-serve:  ## knote serve for ten minutes: load, kills, reloads and drains; nothing may be lost (ARGS='--minutes 1')
	@$(ENVS) build compiled
	.venv/compiled-$(VERSION)/bin/python -m tests.soak.serve $(ARGS)

soak-cycles:  ## each filter 100 000 times: add, fire, delete; descriptors and memory stay (ARGS='VNODE')
	@$(ENVS) build compiled
	.venv/compiled-$(VERSION)/bin/python -m tests.soak.cycles $(ARGS)

soak-faults:  ## every system call of the kernel room fails at every place, with every errno, and several at once (ARGS='epoll poll')
	@$(ENVS) build compiled
	.venv/compiled-$(VERSION)/bin/python -m tests.engines.test_faults $(ARGS)

soak-owners:  ## a million opens, dups, closes and forks: each event belongs to who owns the number
	@$(ENVS) build compiled
	.venv/compiled-$(VERSION)/bin/python -m tests.soak.owners $(ARGS)

# The interpreter that tests is under the filter from its first instruction, and so are all programs that it starts.
sandbox:  ## all tests where io_uring is forbidden: by a seccomp filter that kills, then by one that says EPERM
	@$(ENVS) build compiled
	for verdict in kill 1; do \
	  KNOTE_EXPECT_BUILD=compiled timeout --kill-after=30 $(LIMIT) .venv/compiled-$(VERSION)/bin/python \
	    -m tests.support.seccomp $$verdict .venv/compiled-$(VERSION)/bin/python $(PYTEST) $(TESTS) || exit 1; \
	done

# What the sanitizers themselves take is not knote's: two tests bound memory, one starts a program without them.
NOT_SANITIZED := \
  --deselect tests/apps/test_cli.py::test_starting_imports_only_what_is_used \
  --deselect tests/apps/test_connect.py::test_a_reader_that_is_slower_than_all_others \
  --deselect tests/apps/test_serve.py::test_a_client_that_never_reads_costs_bounded_memory

sanitize:  ## all tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer
	@$(ENVS) build sanitized
	KNOTE_EXPECT_BUILD=compiled LD_PRELOAD="$$($${CC:-gcc} -print-file-name=libasan.so)" PYTHONMALLOC=malloc \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	  timeout --kill-after=30 $(LIMIT) .venv/sanitized-$(VERSION)/bin/python $(PYTEST) $(NOT_SANITIZED) $(TESTS)

# ThreadSanitizer of gcc 12 cannot place its shadow where newer kernels put programs: hence setarch -R.
tsan:  ## the C room from many threads, under ThreadSanitizer and under the two others
	@made=$$(mktemp -d) && trap 'rm -rf "$$made"' EXIT && \
	for checks in thread address,undefined; do \
	  for source in tests/soak/c/*.c; do \
	    echo "$$source, -fsanitize=$$checks"; \
	    $${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -fsanitize=$$checks \
	      -fno-sanitize-recover=all -pthread -Isrc/knote/_kernel $$source -o "$$made/program" && \
	      setarch "$$(uname -m)" -R "$$made/program" || exit 1; \
	  done; \
	done

pages:  ## man pages and completions into build/pages
	@$(ENVS) build interpreted
	.venv/interpreted-$(VERSION)/bin/python -m knote.cli.pages build/pages

dist:  ## sdist and wheels into dist/
	@$(ENVS) dist

test-dist:  ## build dist/, install from it where no checkout is, run the tests there
	@timeout --kill-after=30 $(LIMIT) $(ENVS) test-dist -- $(TESTS)

bench:  ## measure, on a compiled build
	@$(ENVS) build bench
	.venv/bench-$(VERSION)/bin/python -m bench $(ARGS)

bench-docs:  ## measure all of it, and put tables and plots into docs/performance.md
	@$(ENVS) build bench
	.venv/bench-$(VERSION)/bin/python -m bench --docs docs --json build/bench.json $(ARGS)

clean:  ## remove everything that a build or a test run made
	rm -rf .venv build dist src/*.egg-info .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
