# Each target sets up what it needs on first use. `make demo` and `make test` are all that a visitor needs.

PYTHON := .venv/bin/python
STACK := $(PYTHON) scripts/devstack.py run --fast --
PYTEST := $(PYTHON) -m pytest
WORKERS ?= 3

# Tests and the demo start many a Python, and each would compile the product and its packages again, half of its time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test full engine lint fmt bench reference pins bootstrap

# The whole product on this machine. ARGS=--once plays the main job and exits; docs name the other arguments.
demo: bootstrap
	@$(PYTHON) -m scripts.demo $(ARGS)

# Each rule, door, attack, promise and race, and one smoke of each deployment. T= narrows: `make test T="tests/audit -k seal"`.
# Generated cases are others each day: the first lines of a run name the SEED= that repeats them.
test: bootstrap
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m "not soak" $(T)

# Every test but the soaks, which take minutes each: `make full T="-m soak"`. Races run longer, and generated cases are more.
full: bootstrap
	@FULL=1 $(PYTEST) -n $(WORKERS) --dist worksteal --full -m "not soak" $(T)

# Formats, types, contracts between rooms, templates, migrations.
lint: bootstrap
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	git ls-files -z '*.html' | xargs -0 -r .venv/bin/djade --check --target-version 6.0
	$(STACK) $(PYTHON) manage.py makemigrations --check --dry-run

fmt: bootstrap
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	git ls-files -z '*.html' | xargs -0 -r .venv/bin/djade --target-version 6.0

# Numbers for docs/reference/performance.md; on a quiet machine only. ARGS=--quick is the short form, and
# `make bench lists` (decision, gateway, budgets, tokens, revoke, renewals, idle ...) selects. An anchor that cannot be installed is said to be missing.
bench: bootstrap .venv-bench/installed
	@$(PYTHON) -m tests.benchmarks $(BENCHES) $(ARGS)

# The words behind `bench` are its benches, and no targets of their own.
ifeq (bench,$(firstword $(MAKECMDGOALS)))
BENCHES := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
.PHONY: $(BENCHES)
$(BENCHES): ;@:
endif

.venv-bench/installed: requirements/bench.txt
	-@$(PYTHON) -m venv .venv-bench && .venv-bench/bin/python -m pip install --quiet --require-hashes --no-deps \
		--no-compile --disable-pip-version-check -r $< && cp $< $@

# The compose file in a real container engine, as root and as an ordinary user: docs/operate/install.md. Wants root.
engine: bootstrap
	@$(STACK) env DJANGO_SETTINGS_MODULE=governance.settings $(PYTHON) -m tests.engine $(ARGS)

# The pages of docs/reference that are generated; a test compares them.
reference: bootstrap
	@$(STACK) env DJANGO_SETTINGS_MODULE=governance.settings DEMO=1 $(PYTHON) -m scripts.reference
	@$(STACK) env DEMO=1 $(PYTHON) manage.py spectacular --file docs/reference/openapi.yaml
	@$(PYTHON) -m scripts.commandindex

# Pin what requirements/*.in ask for, with hashes; wants uv. What is pinned stays unless ARGS=--upgrade; see bounds.txt.
pins:
	for each in run dev; do uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --override requirements/overrides.txt $(ARGS) \
		--output-file requirements/$$each.txt requirements/$$each.in || exit 1; done

bootstrap:
	@scripts/bootstrap
