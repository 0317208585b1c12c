# make run    a node, a broker, a demo worker and the pages on http://127.0.0.1:8000
# make test   lint and the whole test suite with a coverage summary
# make lint   ruff and mypy          make bench  what a delivery costs, beside other systems (ARGS="--list", "--case steady")
# make chaos  break a cluster under load, fault after fault (SEED=… MINUTES=10 OUT=build/chaos.json)
# make fuzz   look for inputs that break a parser, each for a while (SECONDS=60 ARGS="message resp")
# make format mend the formatting    make clean  remove everything that was built
.PHONY: run test tools lint format bench bench-tools chaos fuzz clean
BIN := .venv/bin
TOOLS := curl:curl ps:procps bash:bash promtool:prometheus node:nodejs npm:npm chromium:chromium nginx:nginx-light

WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); echo $$((cores < 4 ? cores + 1 : 4)))

ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
endif

run: .venv/.run
	$(BIN)/sse-gateway dev $(ARGS)

# Half of the tests' time is waiting: one worker more than cores keeps them busy. ARGS="-n 0" runs without workers.
test: lint tools tests/js/node_modules/.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --cov --cov-report=term $(ARGS)

# Some tests run the documentation's curl lines, look at processes, or have Prometheus scrape nodes: as root what is
# missing is installed, else it is told. With CI=true nothing may be left out. Debian would start what it installs as a
# service; policy-rc.d is its way to be told not to. nginx is off the path of ordinary users, in /usr/sbin.
tools:
	@missing=""; PATH="$$PATH:/usr/sbin"; \
	for t in $(TOOLS); do command -v "$${t%%:*}" >/dev/null || missing="$$missing $${t##*:}"; done; \
	idle() { test -e /usr/sbin/policy-rc.d || { trap 'rm -f /usr/sbin/policy-rc.d' EXIT; \
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d; }; }; \
	test -z "$$missing" || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && idle && apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends $$missing; } || \
	{ echo "Tests that need$$missing will fail: install with apt-get install$$missing." >&2; test "$(CI)" != true; }

# What the browser client is tested with. Without npm those tests are left out, as `tools` has said by then.
tests/js/node_modules/.stamp: tests/js/package-lock.json tests/js/react18/package-lock.json | tools
	@! command -v npm >/dev/null || { npm ci --prefix tests/js --no-audit --no-fund --loglevel=error && \
		npm ci --prefix tests/js/react18 --no-audit --no-fund --loglevel=error && touch $@; }

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.bench bench-tools
	$(BIN)/python -m tests.bench $(ARGS)

# What the gateway is compared with: as root it is installed, else the benchmark says what it leaves out. An nginx that
# was not there before does not stay running.
bench-tools:
	@cc --version >/dev/null 2>&1 && test -e /usr/lib/nginx/modules/ngx_nchan_module.so || \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		{ had="$$(command -v nginx)" || true; } && apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends gcc libc6-dev nginx-light libnginx-mod-nchan >/dev/null && \
		{ test -n "$$had" || systemctl disable --now nginx 2>/dev/null; }; } || true

chaos: .venv/.dev
	$(BIN)/python -m tests.cluster.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(OUT),--out $(OUT))

fuzz: .venv/.fuzz
	$(BIN)/python -m tests.fuzz $(or $(SECONDS),60) $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .coverage .coverage.* coverage.xml .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		tests/js/node_modules tests/js/react18/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.run: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[gateway,broker]'
	@touch $@

.venv/.dev: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ .venv/.run

.venv/.bench: .venv/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

.venv/.fuzz: .venv/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	@touch $@

# Debian ships Python without ensurepip, which venv needs: as root it is installed, else the remedy is told.
$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=/path/to/python3." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "$(PYTHON) is not Python 3.11 or newer: name another one with make PYTHON=/path/to/python3." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip' 2>/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq python3-venv; } || \
		{ echo "$(PYTHON) cannot make virtual environments: install python3-venv (as root: apt-get install python3-venv)." >&2; exit 1; }
	"$(PYTHON)" -m venv --clear .venv
