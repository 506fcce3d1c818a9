# make demo and make test set everything up by themselves: Python 3.11+, make and a C compiler are all they need.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PEERS := $(VENV)/.peers
SEED ?=
PROCESSES ?=

SOAK ?=
DAY ?=

.PHONY: demo test firmware check accuracy coverage timeline torture outage traps roles test-gpio live fleet usecase fuzz bench lock clean venv help

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml requirements-dev.txt hatch_build.py docs/reference/openapi.json
	@$(PYTHON) -c 'import sys; sys.exit("labd needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# what only tests and benchmarks hold labd against: most of a hundred packages that a demo can do without. The lock file names all of them
# in versions that not every one of them asks for (pyproject.toml, tool.uv), so pip only installs
$(PEERS): $(STAMP) requirements-peers.txt
	@echo "installing the peers that labd is tried with into $(VENV)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-peers.txt
	@touch $@

venv: $(STAMP) $(PEERS)

## make demo      a rate sweep in three modes on a virtual bench: table, break-even rates, report
demo: $(STAMP)
	$(VENV)/bin/labd demo --out out/demo

## make test      every test that needs no wall clock, in as many processes as there are cores (PROCESSES=n; 0: in this one)
test: $(STAMP) $(PEERS)
	$(PY) -m pytest -q -m "not evidence" -n $(or $(PROCESSES),auto) --dist=loadscope $(PYTEST_ARGS)

## make firmware  the firmware's image for every board (BOARD=name): flash and RAM; fails on a warning or a heap (needs arm-none-eabi-gcc)
firmware: $(STAMP)
	$(PY) -m labd_virtual.firmware_images $(BOARD)

# the guard's own process and the one that fires; what else asks for one system alone is found here
LINUX_ONLY := labd/(guard/(__main__|client|peer|server)|trigger/__main__|agent)\.py
## make check     ruff, mypy --strict (for Linux, Windows and macOS), import-linter, whether the API's document is current
check: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(foreach system,win32 darwin,$(VENV)/bin/mypy --platform $(system) --no-warn-unreachable --exclude '$(LINUX_ONLY)' labd instruments/labd_instruments &&) true
	$(VENV)/bin/lint-imports
	$(PY) -m labd.api.document --check

## make accuracy  coverage of the published intervals against the virtual board's truth (SEED=n, QUICK=1)
accuracy: $(STAMP)
	$(PY) -m benchmarks.accuracy $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick)

## make coverage  Monte Carlo of thousands of captures, 14 mismatches, and runs that measure until an aim is met (SEED=n, QUICK=1)
coverage: $(STAMP)
	$(PY) -m benchmarks.coverage $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick)

## make timeline  alignment of captures without a line, edges of bursts and wake-up against the virtual board's truth (SEED=n, QUICK=1)
timeline: $(STAMP)
	$(foreach part,$(notdir $(wildcard benchmarks/timeline benchmarks/wakeup)),$(PY) -m benchmarks.$(part) $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick) &&) true

## make torture   kill, hang, cut, fill up and silence what a running daemon needs (QUICK=1; ONLY=case; SOAK=minutes, DAY=hours: only wear, in real and in stepped time)
torture: $(STAMP)
	$(PY) -m benchmarks.torture $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick) $(foreach case,$(ONLY),--only $(case)) $(if $(SOAK),--soak $(SOAK)) $(if $(DAY),--day $(DAY))

## make outage    InfluxDB killed, wrongly set up, away for days, behind a bad network: counts and sums of both sides (QUICK=1; ONLY=case)
outage: $(STAMP)
	$(PY) -m benchmarks.outage $(if $(QUICK),--quick) $(foreach case,$(ONLY),--only $(case))

## make traps     every known trap of every instrument, sprung in its persona: found or missed (QUICK=1)
traps: $(STAMP)
	$(PY) -m benchmarks.traps $(if $(QUICK),--quick)

## make roles     every driver in its role: whole runs over every interface, held against the virtual board's truth
roles: $(STAMP)
	$(PY) -m pytest -q tests/bench/test_roles.py -n $(or $(PROCESSES),auto) $(PYTEST_ARGS)

## make test-gpio  GPIO and modem lines on a real kernel's drivers in a virtual machine (apt: qemu-system-x86 busybox-static; 225 MB once)
test-gpio: $(STAMP)
	$(PY) -m tests.gpio.vm

## make live      the live page in a real Chromium: frames a second, age of what is drawn, cost of a viewer (QUICK=1)
live: $(STAMP)
	$(PY) -m benchmarks.live $(if $(QUICK),--quick)

## make fleet     hundreds of stored runs analysed by one process and by a Dask cluster: the same figures, and how it scales (SEED=n, QUICK=1)
fleet: $(STAMP)
	$(PY) -m benchmarks.fleet $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick)

## make usecase   a search from use-case file to Pareto front on two virtual boards, killed in the middle; the best against the boards' truth (SEED=n, QUICK=1)
usecase: $(STAMP)
	$(PY) -m benchmarks.usecase $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick)

## make fuzz      the firmware's core under libFuzzer for five minutes, needs clang (QUICK=1: 20 s)
fuzz: $(STAMP)
	$(PY) -m benchmarks.fuzz $(if $(QUICK),--quick)

## make bench     ratios against named peers and limits
bench: $(STAMP) $(PEERS)
	$(PY) -m benchmarks.ratios

## make lock      write the lock files anew (needs uv)
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q pyproject.toml --group dev -o requirements-dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q pyproject.toml -c requirements-dev.txt -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q --group peers -c requirements-dev.txt -o requirements-peers.txt

clean:
	rm -rf $(VENV) out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
