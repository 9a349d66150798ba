# Set-up and the commands of the README. Everything is installed into .venv from the tested set in constraints.txt.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PROCESSES ?= 2
EXTRA ?= $(shell command -v nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
RECIPE ?= tiny-cpu
# CUDA's builds of torch and vLLM have dependencies of their own.
CONSTRAINTS := --constraint constraints.txt $(if $(filter gpu,$(EXTRA)),--constraint docker/constraints-gpu.txt)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: run test test-long bench doctor ui deploy lint clean

run: $(READY)
	$(BIN)/midtrain run polya --recipe $(RECIPE) $(ARGS)

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -m "not long" -n $(PROCESSES) --dist loadscope --no-loadscope-reorder --durations 10 $(ARGS)

# In one process: what takes minutes is mostly measured, killed or kept waiting, and would be disturbed by another.
test-long: $(READY)
	$(BIN)/python -m pytest -m long --durations 10 $(ARGS)

bench: $(READY)
	$(BIN)/python -m tests.bench $(ARGS)

doctor: $(READY)
	$(BIN)/midtrain doctor $(ARGS)

ui: $(READY)
	$(BIN)/midtrain ui $(ARGS)

deploy: $(READY)
	MIDTRAIN_PROJECT="$(CURDIR)" $(BIN)/midtrain deploy $(ARGS)

lint: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .midtrain

# torchvision, torchaudio and torchcodec come along with vLLM for the CPU, in builds that do not fit a torch without
# CUDA and break the import of transformers; nothing here uses them.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) "torch==2.13.0"
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) --editable ".[$(EXTRA),dev]"
	if [ "$(EXTRA)" = cpu ]; then $(BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec; fi
	touch $(READY)
