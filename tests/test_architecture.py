"""What may import what, and where things have their one home.

The syntax trees of ``app/`` are read; nothing is imported. A new module
needs a folder in ``FOLDERS``, and one glance at the rule that refuses it.
"""

import ast
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.servers import ROOT

# From the ground up. A folder imports only folders above it in this list; those in one line do
# not know each other. Within a folder, modules may import each other.
FOLDERS = (
    ("app.field_errors", "app.version"),
    ("app.errors", "app.clock", "app.extensions"),
    ("app.database",),
    ("app.models", "app.http"),
    ("app.observability",),
    ("app.security", "app.audit"),
    ("app.access", "app.mail"),
    ("app.features",),
    ("app.auth",),
    ("app.users",),
    ("app.administration",),
    # The optional features of this tree stand above all that they may use.
    ("app.auth.mfa",),
    ("app.auth.passkeys", "app.auth.providers"),
    ("app.api_keys",),
    ("app.moving", "app.doctor"),
    ("app.pages", "app.cli", "app.serving"),
    ("app.answering",),
    ("app",),
    ("app.testing",),
)
FLOOR = {name: height for height, names in enumerate(FOLDERS) for name in names}
# Nothing imports these but the factory and the commands.
DOORS = {"app.moving", "app.doctor", "app.pages", "app.cli", "app.serving"}
# A story of app.auth imports only stories before it.
STORIES = ("sessions", "login", "password", "oauth", "email", "registration")

# Where a request may be seen, and a blueprint made. A name that ends with a dot means a folder.
EDGE = (
    "app.http.",
    "app.pages.",
    "app.features.feature",
    "app.observability.measuring",
    "app.observability.routes",
    "app.access.bearer",
    "app.access.cookies",
    "app.access.csrf",
    "app.access.flask_jwt",
    "app.access.guards",
    "app.access.key_sessions",
    "app.access.idempotency",
    "app.access.limits",
    "app.access.levels",
    "app.access.live_session",
    "app.serving.access_log",
)
OF_THE_REQUEST = {
    "flask.request",
    "flask.session",
    "flask.g",
    "flask.make_response",
    "flask.jsonify",
    "flask.abort",
    "flask.Blueprint",
    "flask_smorest.Blueprint",
    "app.http.blueprint.Blueprint",
}

# What is used in one module alone, by the name under which it is imported.
HOMES = {
    "bcrypt": {"app.security.passwords.hashing"},
    "cryptography.hazmat": {
        "app.security.key_ring",
        "app.security.signing_keys",
        "app.security.passwords.foreign_hashes",
        "app.auth.passkeys.verification",
    },
    "cryptography.fernet": {"app.mail.delivery", "app.mail.outbox", "app.mail.previewing"},
    "cryptography": {
        "app.security.key_ring",
        "app.security.signing_keys",
        "app.security.passwords.foreign_hashes",
        "app.mail.delivery",
        "app.mail.outbox",
        "app.mail.previewing",
        "app.auth.passkeys.verification",
    },
    "hmac": {
        "app.security.passwords.hashing",
        "app.security.passwords.foreign_hashes",
        "app.security.pseudonyms",
        "app.security.key_ring",
        "app.auth.mfa.totp.codes",
        "app.mail.transport",
    },
    "argon2": {"app.security.passwords.foreign_hashes"},
    "email_validator": {"app.security.identifiers"},
    "regex": {"app.security.identifiers"},
    "itsdangerous": {
        "app.database.pages",
        "app.auth.passkeys.ceremonies",
        "app.auth.passkeys.options",
    },
    "pyotp": {"app.auth.mfa.totp.codes"},
    "segno": {"app.auth.mfa.totp.codes"},
    "joserfc": {"app.auth.providers.id_tokens"},
    "webauthn": {"app.auth.passkeys.verification"},
    "smtplib": {"app.mail.transport"},
    "ssl": {
        "app.mail.transport",
        "app.security.outbound.connection",
        "app.security.outbound.fetching",
    },
    # Other servers are called in one place, which knows whom one may call.
    "http.client": {"app.security.outbound.connection", "app.security.outbound.fetching"},
    "urllib.request": set(),
    "email.message": {"app.mail.composing"},
    "fcntl": {"app.serving.background", "app.security.passwords.slots"},
    "flask_babel.Babel": {"app.http.languages"},
    "flask_babel.force_locale": {"app.mail.rendering"},
    "structlog": {"app.observability.logs"},
    "prometheus_client": {"app.observability.metrics"},
    "limits": {"app.access.limits", "app.access.limit_storage"},
    "redis": {"app.access.limit_storage"},
    "ipaddress": {
        "app.api_keys.networks",
        "app.http.addresses",
        "app.security.outbound.addresses",
    },
    "flask_swagger_ui": {"app.pages.api_docs"},
    "gunicorn": {"app.serving.access_log", "app.serving.client_socket", "app.serving.worker"},
    "webargs": {"app.http.parsing"},
    "sqlite3": {"app.database.sqlite"},
    "psycopg": {"app.database.postgresql"},
    "alembic": {"app.cli.migrating", "app.database.branches", "app.database.migrating"},
    # It loads Alembic.
    "flask_migrate": {"app.cli.migrating", "app.database.migrating", "app.testing"},
    "click": {
        "app.cli",
        "app.cli.api_keys",
        # A refusal names the command.
        "app.database.upgrading",
        "app.cli.migrating",
        "app.cli.importing",
        "app.cli.by_name",
        "app.cli.refusals",
        "app.cli.terminal",
        "app.cli.people",
        "app.cli.quiet",
        "app.cli.arguments",
        "app.cli.editing",
        "app.cli.listing",
        "app.cli.unlocking",
        "app.cli.sessions",
        "app.cli.settings",
        "app.cli.mail_testing",
        "app.cli.users",
        "app.cli.keys",
        "app.cli.passwords",
        "app.cli.prune",
        "app.cli.outbox",
        "app.cli.exporting",
        "app.cli.factors",
        "app.cli.identities",
        "app.cli.db_copy",
        "app.cli.doctor",
        "app.cli.version",
        "app.cli.roles",
        "app.cli.audit",
        # A feature may bring commands.
        "app.features.feature",
        "app.features.clashes",
        # `flask run` is a command.
        "app.serving.development",
    },
    "flask_jwt_extended": {"app.access.flask_jwt"},
    "flask_jwt_extended.create_access_token": set(),
    "flask_jwt_extended.create_refresh_token": set(),
    "flask_jwt_extended.decode_token": set(),
    "jwt": {"app.security.signing_keys", "app.security.tokens", "app.access.flask_jwt"},
    "jwt.encode": set(),
    "jwt.decode": set(),
    # These change PyJWT for the whole process.
    "jwt.register_algorithm": set(),
    "jwt.unregister_algorithm": set(),
    # Settings come from the configuration alone. This asks who sits at the terminal.
    "os.environ": {"app.audit.operators"},
    "os.getenv": set(),
}

# What commits without being a verb of a feature: the outbox, which is emptied outside requests,
# the audit log, which is sealed outside them, what prunes, what moves in, and notes for operators
# that no request is about.
COMMITTING = {
    "app.mail.outbox.request",
    "app.mail.delivery.claim",
    "app.mail.delivery.release",
    "app.mail.delivery._update",
    "app.audit.sealing.seal",
    "app.audit.retention.prune",
    "app.audit.checks.remember",
    "app.audit.exporting.download",
    "app.database.rows.delete_batch",
    "app.database.postgresql.Connection",
    "app.database.sqlite.Connection",
    "app.database.upgrading.our_turn",
    "app.database.upgrading._finish",
    "app.database.upgrading.run_patiently",
    "app.database.prepared.Compiled",
    "app.doctor.deployment_warnings.warn",
    # It moves sealed texts to the newest key, for a command.
    "app.features.keyed._move",
    "app.moving.importing.take_in",
    "app.testing.make_user",
}

# The attributes that ``logging`` gives to a record itself.
OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime"}

PRESENT = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "time.localtime",
    "time.gmtime",
}


@dataclass(frozen=True)
class Module:
    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"), str(self.path))

    @property
    def folder(self) -> str:
        """The folder under ``app`` that it belongs to, or itself."""
        parts = self.name.split(".")
        optional = ".".join(parts[:3])
        return optional if optional in FLOOR else ".".join(parts[:2])

    @property
    def last_name(self) -> str:
        return self.name.rpartition(".")[2]

    @cached_property
    def imported(self) -> set[str]:
        """Everything imported, by its full name: ``bcrypt``, ``flask.request``."""
        return self._imported_by(ast.walk(self.tree))

    @property
    def imported_at_the_top(self) -> set[str]:
        """The same without what functions import when they are called."""
        return self._imported_by(self.tree.body)

    def _imported_by(self, nodes: Iterable[ast.AST]) -> set[str]:
        found = set()
        for node in nodes:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} imports relatively"
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        return found

    @cached_property
    def imports(self) -> set[str]:
        """The modules of ours that it imports."""
        return {ours for name in self.imported if (ours := module_of(name)) is not None}

    @property
    def imports_at_the_top(self) -> set[str]:
        return {ours for name in self.imported_at_the_top if (ours := module_of(name)) is not None}

    @cached_property
    def dotted(self) -> set[str]:
        """Every ``a.b.c`` that is written, and what is imported, by the real names."""
        real = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                real |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                real |= {
                    alias.asname or alias.name: f"{node.module}.{alias.name}"
                    for alias in node.names
                }
        written = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute):
                root, _, rest = ast.unparse(node).partition(".")
                written.add(f"{real.get(root, root)}.{rest}")
        return written | self.imported

    def calls(self, where: ast.AST | None = None) -> Iterator[str]:
        """The last names of what is called: ``commit`` for ``db.session.commit()``."""
        for node in ast.walk(where or self.tree):
            if isinstance(node, ast.Call):
                if isinstance(node.func, ast.Attribute):
                    yield node.func.attr
                elif isinstance(node.func, ast.Name):
                    yield node.func.id


def _modules() -> dict[str, Module]:
    found = {}
    for path in sorted((ROOT / "app").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = Module(name, path)
    return found


MODULES = _modules()
# A feature is a folder with routes, from the floor of app.auth up; a new one falls under the same
# rules. A folder that lies lower does not become a feature by a file of that name.
FEATURE_FOLDERS = {
    module.folder
    for module in MODULES.values()
    if module.last_name.endswith("routes")
    and module.folder != module.name
    and FLOOR.get(module.folder, -1) >= FLOOR["app.auth"]
}
FEATURES = [module for module in MODULES.values() if module.folder in FEATURE_FOLDERS]
# The object of an optional feature names its routes, as they are.
ROUTES = [module for module in FEATURES if module.last_name.endswith(("routes", "feature"))]
SCHEMAS = [module for module in FEATURES if module.last_name.endswith(("schemas", "fields"))]
CAPABILITIES = [
    module
    for module in FEATURES
    if module not in ROUTES and module not in SCHEMAS and module.path.name != "__init__.py"
]
MODELS = [module for module in MODULES.values() if module.folder == "app.models"]


def module_of(name: str) -> str | None:
    """The module of ours that holds the imported name, if it is one of ours."""
    if name == "config" or name.startswith("config."):
        return "config"
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def test_there_is_something_to_hold_to_the_rules() -> None:
    assert len(MODULES) > 20
    assert {module.name for module in ROUTES} >= {"app.auth.routes", "app.users.routes"}
    assert "app.auth.sessions.sessions" in {module.name for module in CAPABILITIES}
    assert "app.models" in MODULES["app.auth.sessions.sessions"].imports


def test_every_module_has_its_folder() -> None:
    assert {module.folder for module in MODULES.values()} == set(FLOOR)


def test_a_folder_imports_only_folders_above_it() -> None:
    wrong = [
        f"{module.name} → {imported}"
        for module in MODULES.values()
        for imported in module.imports - {"config"}
        if MODULES[imported].folder != module.folder
        and FLOOR[MODULES[imported].folder] >= FLOOR[module.folder]
    ]

    assert wrong == []


def test_nothing_imports_a_door_but_the_factory_and_the_commands() -> None:
    wrong = [
        f"{module.name} → {imported}"
        for module in MODULES.values()
        for imported in module.imports - {"config"}
        if MODULES[imported].folder in DOORS
        and module.folder not in (MODULES[imported].folder, "app.cli", "app.answering", "app")
    ]

    assert wrong == []


def test_a_story_imports_only_stories_before_it() -> None:
    wrong = [
        f"{module.name} → {imported}"
        for module in MODULES.values()
        for imported in module.imports
        if module.folder == "app.auth"
        and module.name != "app.auth.routes"
        and _story(imported) > _story(module.name)
    ]

    assert wrong == []


def _story(name: str) -> int:
    """The place of a module of ``app.auth`` among the stories; -1 where it is in none."""
    parts = name.split(".")
    is_story = parts[:2] == ["app", "auth"] and len(parts) > 2 and parts[2] in STORIES
    return STORIES.index(parts[2]) if is_story else -1


def test_config_imports_nothing_of_the_application() -> None:
    config = Module("config", ROOT / "config.py")

    assert config.imports == set()


def test_what_reads_settings_knows_neither_config_nor_flask() -> None:
    known = {
        f"{path.name} → {name}"
        for path in (ROOT / "configuration").glob("*.py")
        for name in Module("configuration", path).imported
        if name.split(".")[0] in ("app", "config", "flask", "werkzeug")
    }

    assert known == set()


def test_auth_never_imports_users() -> None:
    back = [
        module.name
        for module in FEATURES
        if module.folder == "app.auth"
        and any(imported.startswith("app.users") for imported in module.imports)
    ]

    assert back == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module.name: module.imports - {"config"} for module in MODULES.values()}

    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


# py_webauthn takes 7 MiB, so it is imported when the first passkey is used. joserfc is imported
# when somebody first signs in with a provider. The others let short commands start sooner.
LAZY = {
    "app",
    "app.auth.passkeys.proving",
    "app.auth.providers.openid",
    "app.database.branches",
    "app.features.feature",
    "app.features.loading",
    "app.observability.logs",
    "app.security.identifiers",
    "app.serving.development",
}


def test_imports_stand_at_the_top_of_a_module() -> None:
    buried = [
        f"{module.name}:{node.lineno}"
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and node not in module.tree.body
        and module.name not in LAZY
    ]

    assert buried == []


# What takes long to load, and what a short command like `flask users list` does without.
NOT_FOR_COMMANDS = {"alembic", "email_validator", "flask_migrate", "regex", "structlog"}


def test_a_short_command_loads_no_routes_and_no_pages() -> None:
    loaded, waiting = set(), {"app", "app.cli.listing", "app.cli.factors", "app.cli.version"}
    while waiting:
        name = waiting.pop()
        loaded.add(name)
        module = MODULES[name]
        packages = {name.rpartition(".")[0]} - {""}
        waiting |= (module.imports_at_the_top | packages) - {"config"} - loaded

    unneeded = [name for name in loaded if name.endswith("routes") or name.startswith("app.pages")]
    assert unneeded == []
    imported = {each for name in loaded for each in MODULES[name].imported_at_the_top}
    assert {each.split(".")[0] for each in imported} & NOT_FOR_COMMANDS == set()


# Features


@pytest.mark.parametrize("module", CAPABILITIES, ids=lambda module: module.name)
def test_a_capability_knows_neither_routes_nor_schemas(module: Module) -> None:
    edge = {other.name for other in ROUTES + SCHEMAS} | {
        "app.http.blueprint",
        "app.http.fields",
        "app.auth.fields",
    }

    assert module.imports & edge == set()
    assert {name for name in module.imported if name.split(".")[0] == "marshmallow"} == set()


@pytest.mark.parametrize("module", SCHEMAS, ids=lambda module: module.name)
def test_a_schema_does_not_query(module: Module) -> None:
    assert {name for name in module.imported if name.split(".")[0] == "sqlalchemy"} == set()
    assert "app.extensions" not in module.imports


@pytest.mark.parametrize("module", ROUTES, ids=lambda module: module.name)
def test_a_route_leaves_the_database_to_its_verb(module: Module) -> None:
    assert {name for name in module.imported if name.split(".")[0] == "sqlalchemy"} == set()
    assert "app.extensions.db" not in module.imported


def test_the_request_and_blueprints_are_met_at_the_edge_alone() -> None:
    routes = {module.name for module in ROUTES}
    strays = {
        module.name: met
        for module in MODULES.values()
        if module.name not in routes
        and not f"{module.name}.".startswith(EDGE)
        and (met := OF_THE_REQUEST & module.dotted)
    }

    assert strays == {}


def test_commits_belong_to_the_verbs_of_the_features() -> None:
    verbs = {module.name for module in CAPABILITIES}

    others = {
        f"{module.name}.{getattr(part, 'name', 'the module')}"
        for module in MODULES.values()
        if module.name not in verbs
        for part in module.tree.body
        if "commit" in module.calls(part)
    }

    assert others == COMMITTING


# Models


@pytest.mark.parametrize("module", MODELS, ids=lambda module: module.name)
def test_a_model_knows_no_settings_no_tokens_and_no_commit(module: Module) -> None:
    below = {"app.clock", "app.database.types", "app.extensions"}

    assert module.imports <= below | {model.name for model in MODELS}
    assert {name for name in module.imported if name.split(".")[0].startswith("flask")} == set()
    assert "app.extensions.db" not in module.imported


def test_parents_never_name_their_children() -> None:
    tables = {module: _classes(module) for module in MODELS if _has_table(module)}
    named = [
        f"{parent.name} names {child.name}"
        for child, classes in tables.items()
        for parent in tables
        if parent.name in child.imports and (classes | _table_names(child)) & _words(parent)
    ]

    assert [parent.name for child in tables for parent in tables if parent.name in child.imports]
    assert named == []


def test_relationships_have_one_side() -> None:
    two_sided = [
        f"{module.name}:{node.lineno}"
        for module in MODELS
        for node in ast.walk(module.tree)
        if isinstance(node, ast.keyword) and node.arg in ("backref", "back_populates")
    ]

    assert two_sided == []


def _classes(module: Module) -> set[str]:
    return {node.name for node in module.tree.body if isinstance(node, ast.ClassDef)}


def _table_names(module: Module) -> set[str]:
    return {
        node.value.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "__tablename__"
        and isinstance(node.value, ast.Constant)
    }


def _has_table(module: Module) -> bool:
    return bool(_table_names(module))


def _words(module: Module) -> set[str]:
    """Names and texts of the module, without its docstrings."""
    documented = [node for node in ast.walk(module.tree) if isinstance(node, ast.Expr)]
    docstrings = {id(node.value) for node in documented}
    words = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
    for node in ast.walk(module.tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            words |= set(node.value.replace("[", " ").replace("]", " ").split())
    return words


# One home for each


@pytest.mark.parametrize("guest", HOMES)
def test_what_has_one_home_is_used_nowhere_else(guest: str) -> None:
    users = {
        module.name
        for module in MODULES.values()
        if any(name == guest or name.startswith(f"{guest}.") for name in module.dotted)
    }

    assert users == HOMES[guest]


def test_there_is_one_clock() -> None:
    clocks = {
        module.name
        for module in MODULES.values()
        if any(_ends_with(name, present) for name in module.dotted for present in PRESENT)
    }

    assert clocks == {"app.clock"}


def _ends_with(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")


def test_settings_come_from_config_alone() -> None:
    environment = {
        path.name: set(re.findall(r"os\.(?:environ|getenv|putenv).*", path.read_text()))
        for path in [ROOT / "wsgi.py", ROOT / "gunicorn.conf.py"]
    }

    # It is written for a library that has no other way to be told.
    told = {'os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder'}
    assert environment == {"wsgi.py": set(), "gunicorn.conf.py": told}


def test_no_line_of_the_log_has_a_member_that_every_record_has() -> None:
    """``logging`` raises at such a line, and only at the moment at which it would be written."""
    taken = {
        f"{module.name}: {key.value}"
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.keyword)
        and node.arg == "extra"
        and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant) and key.value in OF_EVERY_RECORD
    }

    assert taken == set()


# Size

MOST_LINES = 300


def test_a_file_can_be_read_at_one_look() -> None:
    files = [module.path for module in MODULES.values()] + [ROOT / "config.py"]
    files += (ROOT / "configuration").glob("*.py")

    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}

    assert {
        str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > MOST_LINES
    } == {}


# Words


def test_every_module_says_what_it_is() -> None:
    others = ["config.py", "gunicorn.conf.py", "wsgi.py", "migrations/env.py"]
    files = [module.path for module in MODULES.values()] + [ROOT / name for name in others]
    files += (ROOT / "configuration").glob("*.py")

    silent = [
        str(path.relative_to(ROOT))
        for path in files
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert silent == []


@pytest.mark.parametrize("vague", ["utils", "helpers", "manager", "common", "misc", "base"])
def test_no_module_is_named_after_nothing(vague: str) -> None:
    named = [module.name for module in MODULES.values() if vague in module.last_name.split("_")]

    assert named == []
