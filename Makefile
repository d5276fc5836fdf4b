# make demo: train and evaluate on generated data, or on your own: make demo DATA=path/to/ml-1m
# make test: everything that must hold. Both make .venv and install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := CMakeLists.txt pyproject.toml $(shell find src -name '*.[chm]pp' -o -name '*.cu*' -o -name '*.cmake')
# The kernels behave as on any machine: no BLAS pinned by the environment.
CLEAN_ENV := env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE

.PHONY: demo test bench lint sanitize exhaustive clean help
help:
	@grep -E '^# ' Makefile | sed 's/^# //'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Build tools live in the environment, so that a second build compiles only what changed.
$(VENV)/.tools: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet scikit-build-core pybind11 cmake ninja
	touch $@

$(VENV)/.installed: $(VENV)/.tools $(SOURCES)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pip install --quiet --no-build-isolation --editable ".[test,lint]" \
		--config-settings=cmake.define.PYREC_SIMT=ON
	touch $@

demo: $(VENV)/.installed
	$(CLEAN_ENV) $(BIN)/python -m pyrec_core demo $(if $(DATA),--data "$(DATA)")

test: $(VENV)/.installed
	$(CLEAN_ENV) $(BIN)/python -m pytest

# make bench: time everything on this machine and write the tables of bench/README.md (LARGE=1: the 20,000-item EASE)
bench: $(VENV)/.installed
	$(CLEAN_ENV) $(BIN)/python bench/run.py $(if $(LARGE),--large)
	$(CLEAN_ENV) $(BIN)/python bench/tables.py

# make lint: formatting, style and types
lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files '*.cpp' '*.hpp' '*.cu' '*.cuh')
	$(BIN)/mypy

# make sanitize: the native tests under AddressSanitizer and UndefinedBehaviorSanitizer
SAN := build/sanitize
sanitize: $(VENV)/.installed
	$(PYTHON) -m venv --clear $(SAN)/venv
	$(SAN)/venv/bin/pip install --quiet numpy scipy threadpoolctl pytest hypothesis scikit-build-core pybind11 cmake ninja
	PATH="$(CURDIR)/$(SAN)/venv/bin:$$PATH" $(SAN)/venv/bin/pip install --quiet --no-build-isolation --no-deps . \
		--config-settings=build-dir=$(SAN)/build --config-settings=cmake.define.PYREC_SANITIZE=ON \
		--config-settings=cmake.define.PYREC_CUDA=OFF --config-settings=cmake.define.PYREC_SIMT=ON \
		--config-settings=install.strip=false
	cd $(SAN) && LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		venv/bin/python -m pytest -c ../../pyproject.toml --rootdir ../.. ../../tests/kernels

# make exhaustive: the vectorised functions over every float32, on every SIMD level
exhaustive: $(VENV)/.installed
	PYREC_MATH_STRIDE=1 $(BIN)/python -m pytest -s -k float32_is_right tests/kernels/test_math.py

clean:
	rm -rf build dist demo.png
