# One command each; both do all the set-up on a fresh Debian machine with Python 3.11.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: setup demo demo-check test lint requirements bench screenshots clean

setup: $(READY)

$(READY): requirements.lock requirements-slicer.lock pyproject.toml Testing/set-up
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh Testing/set-up
	touch $(READY)

demo: $(READY)
	$(BIN)/deepradscore demo --out demo-out

demo-check: $(READY)
	$(BIN)/python Testing/benchmarks/demo_check.py --out demo-check-out

test: $(READY) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=DeepRadScore $(BIN)/lint-imports
	$(BIN)/mypy

requirements: $(READY)
	$(BIN)/python Testing/support/slicer_requirements.py

bench: $(READY)
	$(BIN)/python Testing/benchmarks/analyze_benchmark.py
	$(BIN)/python Testing/benchmarks/steps_benchmark.py

screenshots: $(READY)
	$(BIN)/python Testing/Slicer/screenshots.py --out Resources/screenshots

clean:
	rm -rf $(VENV) demo-out demo-check-out
