# One command each; both do all the set-up on a fresh Debian machine with Python 3.11.
PYTHON ?= python3.11
VENV := .venv
FUZZ_MINUTES ?= 10
BIN := $(VENV)/bin
READY := $(VENV)/ready
VIEWERS := $(VENV)/viewers/ready
LOCKS := $(wildcard requirements*.lock)

.PHONY: setup demo demo-check test lint docs lock floors requirements bench soak sbom screenshots viewers measured measured-cost measured-shifts measured-calibration measured-maps clean

setup: $(READY)

$(READY): $(LOCKS) pyproject.toml Testing/set-up
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh Testing/set-up
	touch $(READY)

$(VIEWERS): $(READY) requirements-viewers.lock Testing/support/viewers/package-lock.json Testing/set-up-viewers
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh Testing/set-up-viewers
	touch $(VIEWERS)

demo: $(READY)
	$(BIN)/deepradscore demo --out demo-out

demo-check: $(READY)
	$(BIN)/python Testing/benchmarks/demo_check.py --out demo-check-out

test: $(READY) $(VIEWERS) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=DeepRadScore $(BIN)/lint-imports
	$(BIN)/mypy

lock:
	"$(PYTHON)" -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet uv==0.13.9
	$(VENV)/lock/bin/python Testing/support/lock.py

docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -d $(VENV)/docs docs site

floors: $(READY)
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh Testing/floors

requirements: $(READY)
	$(BIN)/python Testing/support/slicer_requirements.py

bench: $(READY)
	$(BIN)/python Testing/benchmarks/bench.py
	$(BIN)/python Testing/benchmarks/analyze_benchmark.py
	$(BIN)/python Testing/benchmarks/steps_benchmark.py
	$(BIN)/python Testing/benchmarks/reader_benchmark.py

soak: $(READY)
	$(BIN)/python Testing/benchmarks/kill_soak.py
	$(BIN)/python -W ignore Testing/benchmarks/analyses_soak.py
	$(BIN)/python Testing/fuzzing/soak.py --minutes $(FUZZ_MINUTES) --out soak-out/fuzzing
	$(BIN)/python Testing/benchmarks/calibration_soak.py --out soak-out
	PYTHONPATH=Testing $(BIN)/python Testing/benchmarks/shift_table.py --out soak-out

sbom: $(READY)
	"$(PYTHON)" -m venv $(VENV)/sbom
	$(VENV)/sbom/bin/pip install --quiet cyclonedx-bom==7.5.0
	$(VENV)/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o sbom.cdx.json $(BIN)/python

viewers: $(VIEWERS)
	PYTHONPATH=Testing DEEPRADSCORE_TEST_DATA="$${DEEPRADSCORE_TEST_DATA:-../shared}" $(BIN)/python \
	  Testing/benchmarks/viewers.py --out docs/who-opens-what.md

measured: measured-cost measured-shifts measured-calibration measured-maps

measured-cost: $(READY)
	$(BIN)/python Testing/benchmarks/bench.py --page docs/measured/cost.md

measured-shifts: $(READY)
	PYTHONPATH=Testing $(BIN)/python Testing/benchmarks/shift_table.py --out soak-out --page docs/measured/shifts.md

measured-calibration: $(READY)
	$(BIN)/python Testing/benchmarks/calibration_soak.py --out soak-out --page docs/measured/calibration.md

measured-maps: demo
	$(BIN)/python Testing/benchmarks/attribution_benchmark.py demo-out --page docs/measured/maps.md

screenshots: $(READY)
	$(BIN)/python Testing/Slicer/screenshots.py --out Resources/screenshots

clean:
	rm -rf $(VENV) demo-out demo-check-out soak-out site sbom.cdx.json
