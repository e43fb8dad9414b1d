# `make dev` runs everything on this machine; `make test` shows that it works. Both install what they need.

# Every target selects the same packages (--workspace): another selection unites other features, and cargo would compile
# most dependencies once more.
CARGO_BUILD = cargo build --workspace --locked
CARGO_TEST  = cargo test --workspace --locked

TARGET = $(or $(CARGO_TARGET_DIR),target)

.PHONY: help dev test quick openapi test-openapi test-clients test-browser portal portal-is-built test-infra test-deploy test-full fuzz bench check package image clean-dev clean deps deps-dev deps-clients deps-bench deps-node deps-browser

help: ## What can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

dev: deps-dev ## Build and run everything here, offline; other ports: make dev ARGS="--port-base 9000"
	$(CARGO_BUILD) --bin towpath-dev --bin protocol-node
	@exec $(TARGET)/debug/towpath-dev $(ARGS)

test: deps deps-browser check ## What CI runs: check, then all tests against the offline AWS with real clients
	$(CARGO_BUILD)
	$(CARGO_TEST)
	node tests/browser/run.mjs --quick $(TARGET)/debug .towpath/browser

# Ours without optimisation: built in a fifth of the time. They lie beside the others in the same folder.
QUICK = $(foreach package,domain store app transfers functions protocol-node,--config profile.dev.package.$(package).opt-level=0)
quick: ## While you work: unit tests, use cases and routes, built fast; some of them: make quick ARGS=files::
	cargo $(QUICK) test --workspace --locked --lib --test records --test it -- $(ARGS)

openapi: ## Write the API's document into docs/, after a change of a route or its description
	$(CARGO_BUILD) --example openapi
	$(TARGET)/debug/examples/openapi docs

check: ## Format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

test-clients: deps deps-clients .venv/installed ## More clients, and more of everything that the tests of load do; needs PyPI the first time
	$(CARGO_BUILD)
	TOWPATH_TEST_THOROUGH=1 $(CARGO_TEST) --test e2e -- --include-ignored --test-threads 1 --nocapture busy:: pressure:: hostile more::

.venv/installed: tests/clients/requirements.txt
	@python3 -c 'import ensurepip' 2>/dev/null || ./scripts/need ensurepip:python3-venv
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --require-virtualenv --no-deps -r $<
	@touch $@

test-openapi: deps-dev .venv-openapi/installed ## The API's document is valid, a stack answers as it says, and a client made of it works; needs PyPI the first time
	$(CARGO_BUILD) --bin towpath-dev --bin protocol-node
	.venv-openapi/bin/python -B tests/openapi/check.py $(TARGET)/debug $(ARGS)

.venv-openapi/installed: tests/openapi/requirements.txt
	@python3 -c 'import ensurepip' 2>/dev/null || ./scripts/need ensurepip:python3-venv
	python3 -m venv .venv-openapi
	.venv-openapi/bin/pip install --quiet --disable-pip-version-check --require-virtualenv --no-deps -r $<
	@touch $@

# What runs the templates' tests: the programs as `make test` builds them, and the SAM CLI.
INFRA_TEST = TOWPATH_PROGRAMS=$(abspath $(TARGET)/debug) TOWPATH_SAM=$(abspath .venv-infra/sam/bin/sam) \
	.venv-infra/tests/bin/python -B -m pytest -p no:cacheprovider

# What browsers do with share links; pictures of it are left in .towpath/browser.
test-browser: deps-dev deps-browser portal-is-built ## Share links in a real browser, and that the page is what its sources say
	$(CARGO_BUILD) --bin towpath-dev --bin protocol-node
	node tests/browser/run.mjs $(TARGET)/debug .towpath/browser

portal: ## Build what the pages of share links load; commit the result
	cd functions/portal && npm ci --no-audit --no-fund --ignore-scripts && npm run build

portal-is-built: deps-node
	cd functions/portal && npm ci --no-audit --no-fund --ignore-scripts && npm run build -- --outDir ../../.towpath/portal --emptyOutDir
	diff -r functions/portal/dist .towpath/portal

tests/browser/node_modules/.package-lock.json: tests/browser/package-lock.json
	cd tests/browser && npm ci --no-audit --no-fund --ignore-scripts

test-infra: deps-dev .venv-infra/installed ## The deployment's templates: lint, agreement with the programs, each role's permissions
	$(CARGO_BUILD)
	$(INFRA_TEST) infra/tests/test_templates.py infra/tests/test_permissions.py

test-deploy: deps .venv-infra/installed ## Deploy the template to an offline AWS, and call each route with the real programs
	$(CARGO_BUILD)
	$(INFRA_TEST) infra/tests/test_deploy.py

.venv-infra/installed: infra/tests/requirements.txt infra/tests/requirements-sam.txt
	@python3 -c 'import ensurepip' 2>/dev/null || ./scripts/need ensurepip:python3-venv
	python3 -m venv .venv-infra/tests
	.venv-infra/tests/bin/pip install --quiet --disable-pip-version-check --require-virtualenv --no-deps -r infra/tests/requirements.txt
	python3 -m venv .venv-infra/sam
	.venv-infra/sam/bin/pip install --quiet --disable-pip-version-check --require-virtualenv --no-deps -r infra/tests/requirements-sam.txt
	@touch $@

package: deps-dev ## The functions' archives for a deployment, into infra/build (docs/DEPLOY.md)
	$(CARGO_BUILD) --profile lambda $(patsubst functions/src/bin/%.rs,--bin %,$(wildcard functions/src/bin/*.rs))
	python3 -B infra/package.py $(TARGET)/lambda

image: ## The node's image; needs Docker. Another name or kind: make image ARGS="-t name --target bare"
	docker build -f infra/node/Dockerfile $(or $(ARGS),-t towpath-node) .

SECONDS_OF_FUZZING ?= 600
fuzz: ## Fuzz the parsers of SFTP, FTPS, PROXY headers, certificates and paths; what it finds is left in fuzz/artifacts
	cd fuzz && for target in frames lines headers certificates paths; do ./run $$target -max_total_time=$(SECONDS_OF_FUZZING) || exit 1; done

test-full: test test-openapi test-clients test-browser test-infra test-deploy ## Everything: also an object of 5 GiB, the long crash and fault suites, and cargo-deny, built the first time
	$(CARGO_TEST) --test it -- --ignored --nocapture
	TOWPATH_TEST_KILLS=300 TOWPATH_TEST_FAULT_SECONDS=60 $(CARGO_TEST) --test crash -- --nocapture --test-threads=1
	@mkdir -p .towpath/tools
	@test -x .towpath/tools/bin/cargo-deny || cargo install cargo-deny --locked --root .towpath/tools
	.towpath/tools/bin/cargo-deny check licenses bans sources

bench: deps-bench ## Speed and cost beside OpenSSH and rclone, into .towpath/bench.md; a short run: make bench ARGS=--quick
	$(CARGO_BUILD) --release --bin towpath-dev --bin protocol-node --example null-node --example ssh-load
	python3 -B tests/bench --programs $(TARGET)/release $(ARGS)

clean-dev: ## Forget everything that make dev keeps
	rm -rf "$${TOWPATH_STATE_DIR:-.towpath}"

clean: ## Forget what was built
	cargo clean

# What is needed beside Rust: a C compiler (SQLite and the cryptography are built from source), and for tests
# the clients.
deps-dev:
	@./scripts/need cc:gcc

deps: deps-dev
	@./scripts/need ssh:openssh-client sftp:openssh-client scp:openssh-client ssh-keygen:openssh-client lftp:lftp curl:curl python3:python3

deps-node:
	@./scripts/need node:nodejs npm:npm

# Debian's Chromium; what drives it comes from npm the first time.
deps-browser: deps-node tests/browser/node_modules/.package-lock.json
	@./scripts/need chromium:chromium

# sshfs mounts by /dev/fuse, which a container must be given.
deps-clients:
	@./scripts/need psftp:putty-tools sshfs:sshfs fusermount3:fuse3

# OpenSSH's server is not installed for it: on most systems that starts one. Without it its rows are left out.
deps-bench: deps-dev
	@./scripts/need ssh:openssh-client sftp:openssh-client ssh-keygen:openssh-client python3:python3 curl:curl openssl:openssl
