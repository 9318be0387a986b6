# Two commands need no preparation: `make demo` and `make test`. Both set up what they use, once, in
# .deps/.

# Where CIFAR-10 is, or goes.
DATA ?= data
# One profile for everything: torch-sys alone takes two minutes a profile.
CARGO := cargo
PROFILE := --release
PYTHON ?= python3
# The crates that do not need libtorch. Where there is no ONNX Runtime, the verifier's tests that
# need it say that they are skipped.
FAST := vit-part-console proto verifier

export DEVICE PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup build data demo engines test test-fast lint bench verifier clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: ## Fetch libtorch and ONNX Runtime into .deps/ (DEVICE=cuda for a machine with a GPU)
	@$(PYTHON) scripts/setup.py libtorch onnxruntime

build: setup ## Build trainer, exporter and verifier
	$(CARGO) build $(PROFILE) --workspace --bins

data: build ## Fetch CIFAR-10 into data/ (DATA=DIR for another folder)
	target/release/trainer data --data "$(DATA)"

demo: build ## Train, export, verify and inject faults on real CIFAR-10
	@$(PYTHON) scripts/demo.py --data "$(DATA)"

engines: ## Fetch engines other than ONNX Runtime into .deps/ (420 MB, once; see engines/README.md)
	@$(PYTHON) scripts/setup.py engines

lint: setup ## Check format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(PROFILE) --workspace --all-targets -- --deny warnings

test: lint data ## Check format and lints, and run all tests
	@$(PYTHON) scripts/setup.py openvino python-tools engines-ci
	CIFAR10="$$(cd "$(DATA)" && pwd)" $(CARGO) test $(PROFILE) --workspace

test-fast: ## Test what needs no libtorch and no CIFAR-10: proto, verifier, the rules about the sources
	$(CARGO) test $(PROFILE) $(addprefix -p ,$(FAST))
	$(CARGO) test $(PROFILE) -p tests --lib --test architecture

bench: data ## Measure everything against PyTorch and PyTorchFI (fetches 2.8 GB, once)
	@$(PYTHON) scripts/setup.py bench python-tools
	@status=0; for part in training export verify campaign; do \
		$(PYTHON) bench/$$part.py --data "$(DATA)" || status=1; done; exit $$status

verifier: ## Build the verifier alone; needs no libtorch
	$(CARGO) build $(PROFILE) -p verifier

clean: ## Remove what was built; .deps/, data/ and results stay
	$(CARGO) clean
