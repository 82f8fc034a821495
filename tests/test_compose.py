"""compose.yaml and Containerfile agree with the application, with nginx and with the pages.

No container is started here; ``tests/test_local_topology.py`` runs the same
topology from local binaries, with the same nginx template and roles.
"""

import ipaddress
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url

from app import read_settings
from config import Settings
from tests.servers import BIN, ROOT, environment_for
from tests.test_docs import read_page, settings_that_are_read
from tests.test_readme import blocks

# What somebody who starts it writes, but for what has a default.
SECRETS = {
    "SECRET_KEY": "Zr8vQ2mK5xW1pL9tB4nH7cJ3dF6gS0aYeUiOq",
    "POSTGRES_PASSWORD": "for-the-superuser",
    "DATABASE_OWNER_PASSWORD": "for-the-owner",
    "DATABASE_PASSWORD": "for-the-one-that-serves",
}


def filled(text: str) -> str:
    """What compose makes of ``${NAME:?}`` and ``${NAME:-default}``."""

    def value(found: re.Match[str]) -> str:
        name, how, default = found.groups()
        if how == ":?":
            return SECRETS[name]
        return SECRETS.get(name, default)

    return re.sub(r"\$\{([A-Z_]+)(:\?|:-)([^}]*)\}", value, text)


COMPOSE: dict[str, Any] = yaml.safe_load(read_page("compose.yaml"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVERS = ["app-1", "app-2"]


def environment(service: str) -> dict[str, str]:
    variables = SERVICES[service].get("environment", {})
    return {name: filled(str(value)) for name, value in variables.items()}


def settings_of(service: str, tmp_path: Path) -> Settings:
    return read_settings(environment(service), instance=tmp_path)


def instructions(name: str) -> list[str]:
    """Those of that name in the Containerfile, without the name."""
    return re.findall(rf"^{name} (.+)$", read_page("Containerfile"), re.MULTILINE)


def test_there_is_what_the_pages_promise() -> None:
    assert set(SERVICES) == {*SERVERS, "migrate", "proxy", "database", "redis", "mail"}


# Settings


@pytest.mark.parametrize("service", [*SERVERS, "migrate"])
def test_every_variable_of_a_server_is_a_setting(service: str, tmp_path: Path) -> None:
    strangers = environment(service).keys() - settings_that_are_read(tmp_path)

    assert strangers == set()


@pytest.mark.parametrize("service", [*SERVERS, "migrate"])
def test_a_server_starts_with_them_in_production(service: str, tmp_path: Path) -> None:
    assert settings_of(service, tmp_path).is_production


def test_no_secret_is_written_down_and_none_may_be_missing() -> None:
    text = read_page("compose.yaml")

    assert set(re.findall(r"\$\{([A-Z_]+):\?\}", text)) == set(SECRETS)
    for service in SERVICES:
        for name, value in SERVICES[service].get("environment", {}).items():
            if re.search("SECRET|PASSWORD|PEPPER", name):
                assert re.fullmatch(r"\$\{[A-Z_]+:[?-]\}", value), name


def test_only_the_proxy_is_trusted(tmp_path: Path) -> None:
    proxy = SERVICES["proxy"]["networks"]["front"]["ipv4_address"]
    [network] = COMPOSE["networks"]["front"]["ipam"]["config"]

    assert environment("app-1")["TRUSTED_PROXIES"] == proxy
    assert ipaddress.ip_address(proxy) in ipaddress.ip_network(network["subnet"])
    # No other container can be given that address.
    assert ipaddress.ip_address(proxy) not in ipaddress.ip_network(network["ip_range"])


# The database


def test_the_servers_and_the_migrations_use_the_accounts_that_roles_sql_makes(
    tmp_path: Path,
) -> None:
    [folder] = [each for each in SERVICES["database"]["volumes"] if "initdb.d" in each]
    assert folder == "./deploy/roles.sql:/docker-entrypoint-initdb.d/roles.sql:ro"
    roles = read_page("deploy/roles.sql")
    made = re.findall(r"^CREATE ROLE (\w+) LOGIN PASSWORD :'(\w+)'", roles, re.MULTILINE)
    variables = dict(re.findall(r"^\\getenv (\w+) (\w+)$", roles, re.MULTILINE))
    passwords = {role: environment("database")[variables[name]] for role, name in made}

    for service in (*SERVERS, "migrate"):
        url = make_url(environment(service)["DATABASE_URL"])
        assert passwords[url.username or ""] == url.password
        assert (url.host, url.database) == ("database", "user_system")
    assert settings_of("app-1", tmp_path).database_url.username == "user_system"
    assert settings_of("migrate", tmp_path).database_url.username == "user_system_owner"


def test_the_database_has_connections_for_all_workers(tmp_path: Path) -> None:
    [allowed] = re.findall(r"max_connections=(\d+)", " ".join(SERVICES["database"]["command"]))
    settings = settings_of("app-1", tmp_path)

    needed = len(SERVERS) * settings.web_concurrency * (settings.web_threads + 2)

    assert needed < int(allowed) - 20


def test_migrations_are_done_before_a_server_starts() -> None:
    assert SERVICES["migrate"]["command"] == ["flask", "db", "upgrade"]
    for server in SERVERS:
        condition = SERVICES[server]["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully"


# The proxy


def test_nginx_gets_the_variables_of_its_template_and_no_other() -> None:
    in_template = set(re.findall(r"\$\{([A-Z_0-9]+)\}", read_page("deploy/nginx.conf.template")))

    assert environment("proxy").keys() == in_template
    [mount] = SERVICES["proxy"]["volumes"]
    assert mount.startswith("./deploy/nginx.conf.template:/etc/nginx/templates/")


def test_nginx_passes_on_to_the_servers(tmp_path: Path) -> None:
    variables = environment("proxy")
    port = settings_of("app-1", tmp_path).port

    assert [variables["APP_1"], variables["APP_2"]] == [f"{name}:{port}" for name in SERVERS]
    assert instructions("EXPOSE") == [str(port)]
    assert all("front" in SERVICES[name]["networks"] for name in (*SERVERS, "proxy"))


def test_only_this_machine_reaches_what_is_published() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"proxy": ["127.0.0.1:8080:8080"], "mail": ["127.0.0.1:8025:8025"]}
    assert COMPOSE["networks"]["back"]["internal"]
    assert SERVICES["database"]["networks"] == SERVICES["redis"]["networks"] == ["back"]


# Containers


def test_every_image_is_pinned() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    bases = [image.split(" AS ")[0] for image in instructions("FROM")]

    loose = [i for i in images + bases if not re.fullmatch(r"[\w/.-]+:v?\d+\.\d+[\w.-]*", i)]

    assert (len(images), len(bases)) == (4, 2)
    assert loose == []


@pytest.mark.parametrize("service", [*SERVERS, "migrate"])
def test_our_containers_can_do_little(service: str) -> None:
    container = SERVICES[service]

    assert container["read_only"]
    assert container["tmpfs"] == ["/tmp"]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    [user] = instructions("USER")
    assert int(user) > 0


@pytest.mark.parametrize("service", [*SERVERS, "proxy", "database", "redis"])
def test_what_must_be_waited_for_says_when_it_is_there(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"


def test_a_server_is_asked_for_its_health_under_a_trusted_host(tmp_path: Path) -> None:
    settings = settings_of("app-1", tmp_path)
    [asked] = re.findall(
        r"http://([\d.]+):(\d+)/readyz", " ".join(SERVICES["app-1"]["healthcheck"]["test"])
    )

    assert asked == ("127.0.0.1", str(settings.port))
    assert "127.0.0.1" in settings.trusted_hosts
    assert "localhost" in settings.trusted_hosts


def test_a_server_gets_the_time_to_finish_what_it_has_begun() -> None:
    [timeout] = re.findall(r"^graceful_timeout = (\d+)$", read_page("gunicorn.conf.py"), re.M)

    for server in SERVERS:
        assert int(SERVICES[server]["stop_grace_period"].removesuffix("s")) > int(timeout)


# The image


def test_the_image_is_made_by_the_steps_that_deploying_md_gives() -> None:
    page = "".join(b.text for b in blocks("docs/deploying.md") if b.language == "bash")
    [steps] = instructions("RUN python3 -m venv")
    [serve] = re.findall(r'^CMD \["(\w+)", "([\w:]+)"\]$', read_page("Containerfile"), re.MULTILINE)

    assert "python3 -m venv .venv" in page
    assert ".venv/bin/pip install --require-hashes -r requirements.txt" in page
    assert steps == (
        ".venv && .venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt"
    )
    assert f".venv/bin/{' '.join(serve)}\n" in page
    assert f".venv/bin/{' '.join(SERVICES['migrate']['command'])}\n" in page


def copied() -> list[str]:
    """What the Containerfile takes from this checkout."""
    copies = [line.split() for line in instructions("COPY") if "--from" not in line]
    return [name for *names, _target in copies for name in names]


def test_what_the_image_copies_is_not_ignored() -> None:
    ignored = read_page(".dockerignore").splitlines()

    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied())


def test_what_the_image_copies_is_enough_to_upgrade_and_to_serve(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, image / name)
        else:
            shutil.copy(ROOT / name, image / name)
    variables = environment_for(
        **environment("app-1")
        | {"DATABASE_URL": f"sqlite:///{tmp_path / 'app.db'}", "ALLOW_SQLITE": "true"}
    )

    for command in (["flask", "db", "upgrade"], ["gunicorn", "--check-config", "wsgi:app"]):
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=image,
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    # Where the root file system is read-only, nothing could be written beside the code.
    made = {path.name for path in image.iterdir()} - {"__pycache__"}
    assert made == set(copied())
