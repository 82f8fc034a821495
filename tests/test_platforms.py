"""What deploy/ holds for systemd and for platforms agrees with the application.

None of these platforms runs here. Their files are read, and what they say of
us is compared with the code.
"""

import configparser
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import read_settings
from app.http.addressing import FOR_ANY_HOST
from config import Settings
from tests.cases import each
from tests.servers import ROOT
from tests.test_docs import read_page, settings_that_are_read
from tests.test_readme import blocks

SERVE, UPGRADE, PRUNE = "gunicorn wsgi:app", "flask db upgrade", "flask prune"
# What the operator or the platform adds. All else is in the files.
ADDED = {
    "DATABASE_URL": "postgres://user_system:secret@database/user_system",
    "REDIS_URL": "redis://redis:6379/0",
    "SECRET_KEY": "Zr8vQ2mK5xW1pL9tB4nH7cJ3dF6gS0aYeUiOq",
    "MAIL_URL": "smtp://mail:1025",
    "PUBLIC_URL": "https://accounts.example.com",
    "TRUSTED_HOSTS": "accounts.example.com",
    "MAIL_FROM": "no-reply@example.com",
}
# The connections that PostgreSQL leaves for others than superusers, by default.
CONNECTIONS = 97

[GRACEFUL] = map(
    int, re.findall(r"^graceful_timeout = (\d+)$", read_page("gunicorn.conf.py"), re.M)
)

FLY: dict[str, Any] = tomllib.loads(read_page("deploy/fly.toml"))
RENDER: dict[str, Any] = yaml.safe_load(read_page("deploy/render.yaml"))
WEB, CRON = RENDER["services"][:2]
PROCFILE = dict(line.split(": ", 1) for line in read_page("deploy/Procfile").splitlines())
KUBERNETES: dict[str, Any] = {
    f"{one['kind']} {one['metadata']['name']}": one
    for file in sorted((ROOT / "deploy" / "kubernetes").iterdir())
    for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))
}
SERVER = KUBERNETES["Deployment user-system"]["spec"]["template"]["spec"]
MIGRATE = KUBERNETES["Job user-system-migrate"]["spec"]["template"]["spec"]
PRUNING = KUBERNETES["CronJob user-system-prune"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
PODS = [SERVER, MIGRATE, PRUNING]


def unit(name: str) -> configparser.SectionProxy:
    """The section [Service] of a unit of systemd."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "deploy" / "systemd" / name, encoding="utf-8")
    return parser["Service"]


def of_render(service: dict[str, Any]) -> dict[str, str]:
    return {each["key"]: str(each.get("value", "")) for each in service["envVars"]}


ENVIRONMENTS = {
    "fly.toml": FLY["env"],
    "render.yaml": of_render(WEB),
    "render.yaml, prune": of_render(CRON),
    "kubernetes": KUBERNETES["ConfigMap user-system"]["data"],
}
# For each, how many servers there are while a new version takes the place of the old one.
AT_ONCE = {"fly.toml": 3, "render.yaml": 4, "kubernetes": 3}


def settings_of(name: str, tmp_path: Path) -> Settings:
    given = {variable: value for variable, value in ENVIRONMENTS[name].items() if value}
    if name == "kubernetes":
        # The default, from the limit of the container.
        cores = SERVER["containers"][0]["resources"]["limits"]["cpu"]
        given["WEB_CONCURRENCY"] = cores
    return read_settings(ADDED | given, instance=tmp_path)


def test_each_file_holds_settings_that_there_are_and_starts_production(tmp_path: Path) -> None:
    known = settings_that_are_read(tmp_path)

    for name, environment in ENVIRONMENTS.items():
        assert environment.keys() - known == set(), name
        assert settings_of(name, tmp_path).is_production, name
        assert not {each for each in ("SECRET_KEY", "DATABASE_URL") if environment.get(each)}, name
    # Two servers without these would sign with different keys, and count apart.
    assert {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "MAIL_URL"} <= ENVIRONMENTS[
        "render.yaml"
    ].keys()


def test_the_connections_of_all_servers_fit_in_the_database(tmp_path: Path) -> None:
    for name, servers in AT_ONCE.items():
        settings = settings_of(name, tmp_path)
        assert servers * settings.web_concurrency * (settings.web_threads + 2) < CONNECTIONS, name


def test_each_file_names_the_port_that_the_server_listens_at(tmp_path: Path) -> None:
    [service] = FLY["services"]
    [container] = SERVER["containers"]
    [port] = container["ports"]
    [published] = KUBERNETES["Service user-system"]["spec"]["ports"]

    assert service["internal_port"] == settings_of("fly.toml", tmp_path).port
    assert port["containerPort"] == settings_of("kubernetes", tmp_path).port
    assert published["targetPort"] == port["name"]
    # Nobody sends a password without TLS and gets an answer.
    assert [(each["port"], each["handlers"]) for each in service["ports"]] == [
        (443, ["tls", "http"])
    ]


def test_probes_ask_paths_that_answer_to_any_host() -> None:
    [check] = FLY["services"][0]["http_checks"]
    probes = {
        name: SERVER["containers"][0][name]["httpGet"]["path"]
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }

    assert probes == {
        "startupProbe": "/healthz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    assert check["path"] == WEB["healthCheckPath"] == "/readyz"
    assert {"/healthz", "/readyz"} <= FOR_ANY_HOST


def test_each_file_upgrades_the_database_serves_and_prunes() -> None:
    served = [
        PROCFILE["web"],
        FLY["processes"]["app"],
        " ".join(SERVER["containers"][0]["command"]),
    ]
    upgraded = [
        PROCFILE["release"],
        FLY["deploy"]["release_command"],
        WEB["preDeployCommand"],
        " ".join(MIGRATE["containers"][0]["command"]),
    ]
    every_hour = [PROCFILE["prune"], FLY["processes"]["prune"]]
    pruned = [CRON["dockerCommand"], " ".join(PRUNING["containers"][0]["command"])]
    page = "".join(b.text for b in blocks("docs/deploying.md"))

    assert set(served) == {SERVE}
    assert set(upgraded) == {UPGRADE}
    assert (set(pruned), set(every_hour)) == ({PRUNE}, {f"{PRUNE} --every 1h"})
    assert all(f".venv/bin/{command}\n" in page for command in (SERVE, UPGRADE, PRUNE))
    # Render serves with the command of the image.
    assert f"CMD {SERVE.split()}".replace("'", '"') in read_page("Containerfile")
    assert FLY["build"]["dockerfile"] == WEB["dockerfilePath"].removeprefix("./") == "Containerfile"


def test_each_file_leaves_a_server_the_time_to_finish_what_it_has_begun() -> None:
    seconds = SERVER["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1]

    assert FLY["kill_signal"] == "SIGTERM"
    assert int(FLY["kill_timeout"].removesuffix("s")) > GRACEFUL
    assert WEB["maxShutdownDelaySeconds"] > GRACEFUL
    assert SERVER["terminationGracePeriodSeconds"] > GRACEFUL + int(seconds)
    assert int(unit("user-system.service")["TimeoutStopSec"]) > GRACEFUL


def test_two_servers_run_and_one_of_them_always_stays() -> None:
    deployment = KUBERNETES["Deployment user-system"]["spec"]
    budget = KUBERNETES["PodDisruptionBudget user-system"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]

    assert (deployment["replicas"], budget["minAvailable"]) == (2, 1)
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert (FLY["services"][0]["min_machines_running"], WEB["numInstances"]) == (2, 2)
    assert deployment["selector"]["matchLabels"] == budget["selector"]["matchLabels"] == labels
    assert KUBERNETES["Service user-system"]["spec"]["selector"] == labels
    # A number of proxies believes whoever connects, so nobody but the proxy may.
    policy = KUBERNETES["NetworkPolicy user-system"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert policy["ingress"][0]["from"]


@each("pod", PODS)
def test_pods_can_do_little(pod: dict[str, Any]) -> None:
    [container] = pod["containers"]
    [user] = re.findall(r"^USER (\d+)$", read_page("Containerfile"), re.M)

    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == int(user)
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/tmp"]


def test_migrations_alone_run_as_the_owner_of_the_tables() -> None:
    secrets = [
        [one["secretRef"]["name"] for one in pod["containers"][0]["envFrom"] if "secretRef" in one]
        for pod in (SERVER, PRUNING, MIGRATE)
    ]

    assert secrets == [["user-system"], ["user-system"], ["user-system", "user-system-owner"]]


@each("name, command", [("user-system.service", SERVE), ("user-system-prune.service", PRUNE)])
def test_systemd_starts_what_the_page_starts_with_few_rights(name: str, command: str) -> None:
    service = unit(name)

    assert service["ExecStart"] == f"{service['WorkingDirectory']}/.venv/bin/{command}"
    assert service["User"] == "user-system"
    assert (service["ProtectSystem"], service["NoNewPrivileges"]) == ("strict", "true")
    assert service["CapabilityBoundingSet"] == ""


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    folder = ROOT / "deploy" / "systemd"
    units = sorted(path.name for path in folder.iterdir())
    for name in units:
        # It wants to find what the units start.
        text = (folder / name).read_text(encoding="utf-8").replace("/srv/user-system", str(ROOT))
        (tmp_path / name).write_text(text, encoding="utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in units)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    # Of other units of this machine, it may say what it likes.
    assert [line for line in done.stderr.splitlines() if "user-system" in line] == []
    assert done.returncode == 0, done.stderr
