"""The whole topology on one machine, without containers.

    .venv/bin/python -m deploy.local_topology

It starts PostgreSQL, PgBouncer, Redis, two servers and nginx in front of them,
each from the installed program, on free ports of 127.0.0.1. All data is in a
folder that it deletes in the end; Ctrl-C ends everything. With a
``DATABASE_URL`` of PostgreSQL in the environment, it uses that database, which
keeps its changes. It is the topology of ``compose.yaml``, and uses the same
files: ``nginx.conf.template`` and ``roles.sql``.
"""

import argparse
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
PYTHON_BIN = Path(sys.executable).parent

PATIENCE_SECONDS = 60

# nginx calls the servers from this address. Everything else on this machine calls from 127.0.0.1,
# so that one can see whose forwarding header the servers trust.
PROXY_ADDRESS = "127.0.0.2"

# Program → the Debian package that has it.
NEEDED = {
    "nginx": "nginx",
    "redis-server": "redis-server",
    "pgbouncer": "pgbouncer",
    "initdb": "postgresql",
    "postgres": "postgresql",
    "psql": "postgresql-client",
}
# With a DATABASE_URL these are not needed.
OF_THE_CLUSTER = ("initdb", "postgres", "psql")
# Folders of programs that are not on everybody's PATH.
MORE_FOLDERS = ("/usr/sbin", "/usr/local/sbin")


class CannotStart(SystemExit):
    """A program is missing, or ended before it was ready. Exits with status 1 and the reason."""


@dataclass
class Server:
    """One gunicorn, which can be stopped and started again on its port."""

    url: str
    environment: dict[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [PYTHON_BIN / "gunicorn", "wsgi:app"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        _wait(lambda: _answers(f"{self.url}/readyz"), self.process, self.log)

    def stop(self) -> None:
        """Stop it; it finishes the requests that it has begun."""
        if self.process:
            _end(self.process)

    def restart(self) -> None:
        self.stop()
        self.start()
        self.wait_until_ready()


@dataclass
class Topology:
    """The running programs, and their addresses."""

    url: str
    servers: list[Server]
    folder: Path
    # The servers use the first, through PgBouncer; migrations use the second.
    database_url: str
    direct_database_url: str
    redis_url: str
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def ended(self) -> list[str]:
        """The names of the processes that ended by themselves."""
        all_processes: dict[str, subprocess.Popen[bytes] | None] = {
            **self.processes,
            **{f"server-{number}": server.process for number, server in enumerate(self.servers, 1)},
        }
        return [name for name, process in all_processes.items() if process and process.poll()]


def missing(*, database_url: str = "") -> list[str]:
    """The programs that are not installed."""
    needed = [name for name in NEEDED if not (database_url and name in OF_THE_CLUSTER)]
    return [name for name in needed if _find(name) is None]


@contextmanager
def running(
    *,
    port: int = 0,
    database_url: str = "",
    say: Callable[[str], None] = lambda _: None,
    **variables: str,
) -> Iterator[Topology]:
    """Run everything until the block ends. ``variables`` are further settings of the servers."""
    if absent := missing(database_url=database_url):
        packages = sorted({NEEDED[name] for name in absent})
        raise CannotStart(
            f"Cannot start: {', '.join(absent)} not found. "
            f"On Debian and Ubuntu: apt-get install {' '.join(packages)}"
        )
    with starting() as start:
        folder = start.folder
        say("Redis …")
        redis_port = start.redis()
        if database_url:
            direct = serving = database_url
        else:
            say("PostgreSQL …")
            direct, serving = start.postgresql()
        say("PgBouncer …")
        pooled = start.pgbouncer(serving)

        port = port or _free_port()
        common = _kept_environment() | {
            "DATABASE_URL": pooled,
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "PUBLIC_URL": f"http://localhost:{port}",
            "TRUSTED_PROXIES": PROXY_ADDRESS,
            "MAIL_URL": f"file://{folder / 'mail'}",
            "WEB_CONCURRENCY": "1",
            **variables,
        }
        say("migrations …")
        start.migrate(common | {"DATABASE_URL": direct})
        say("two servers …")
        servers = start.servers(common, 2)
        say("nginx …")
        url = start.nginx(port, servers)
        yield Topology(
            url=url,
            servers=servers,
            folder=folder,
            database_url=pooled,
            direct_database_url=direct,
            redis_url=common["REDIS_URL"],
            processes=start.processes,
        )


@contextmanager
def starting() -> Iterator["Starter"]:
    """Yield a starter of programs, and end all programs with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="user-system-")))
        # Programs that do not run as root have their own folders in it.
        folder.chmod(0o711)
        yield Starter(stack, folder)


class Starter:
    """Starts the programs. The end of the block ends them in the reverse order."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        # PostgreSQL and PgBouncer refuse to run as root.
        self.account = _unprivileged() if os.geteuid() == 0 else None

    def redis(self) -> int:
        port = _free_port()
        command = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        process, log = self._start("redis-server", [*command, "--dir", str(self.folder)])
        _wait(lambda: _listens(port), process, log)
        return port

    def postgresql(self) -> tuple[str, str]:
        """Start a new cluster. Returns the URLs of its owner, and of the account that serves."""
        home = self._own_folder("postgresql")
        cluster = home / "data"
        self._run(
            "initdb",
            *("--pgdata", str(cluster), "--username", "postgres", "--encoding", "UTF8"),
            # Only accounts that may enter the folder reach the socket. TCP needs a password.
            *("--auth-local", "trust", "--auth-host", "scram-sha-256", "--no-sync"),
        )
        port = _free_port()
        process, log = self._start(
            "postgres",
            [
                *("-D", str(cluster), "-p", str(port), "-h", "127.0.0.1", "-k", str(home)),
                # The data is deleted with the process, so it need not survive a crash.
                *("-c", "fsync=off", "-c", "full_page_writes=off"),
            ],
            stop=signal.SIGINT,
            account=self.account,
        )
        _wait(lambda: _listens(port), process, log)
        passwords = {name: secrets.token_urlsafe(24) for name in ("owner", "serving")}
        psql = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(home), "-p", str(port)]
        _wait(lambda: self._succeeds(*psql, "-U", "postgres", "-c", "SELECT 1"), process, log)
        self._run(
            *psql,
            *("-U", "postgres", "-f", str(DEPLOY / "roles.sql")),
            DATABASE_OWNER_PASSWORD=passwords["owner"],
            DATABASE_PASSWORD=passwords["serving"],
        )
        place = f"127.0.0.1:{port}/user_system"
        return (
            f"postgresql://user_system_owner:{passwords['owner']}@{place}",
            f"postgresql://user_system:{passwords['serving']}@{place}",
        )

    def pgbouncer(self, database_url: str) -> str:
        """Start PgBouncer in front of that database. Returns the URL that leads through it."""
        home = self._own_folder("pgbouncer")
        database = urlsplit(database_url)
        name, user = database.path.strip("/"), unquote(database.username or "postgres")
        password = unquote(database.password or "")
        port = _free_port()
        users = home / "users.txt"
        self._write(users, f'"{user}" "{password}"\n')
        settings = home / "pgbouncer.ini"
        self._write(
            settings,
            _filled(
                DEPLOY / "pgbouncer.ini.template",
                DATABASE=name,
                HOST=database.hostname or "127.0.0.1",
                PORT=str(database.port or 5432),
                LISTEN_ADDRESS="127.0.0.1",
                LISTEN_PORT=str(port),
                AUTH_TYPE="scram-sha-256" if password else "trust",
                AUTH_FILE=str(users),
            ),
        )
        process, log = self._start(
            "pgbouncer", [str(settings)], stop=signal.SIGINT, account=self.account
        )
        _wait(lambda: _listens(port), process, log)
        credentials = f"{quote(user, safe='')}:{quote(password, safe='')}".rstrip(":")
        return f"postgresql://{credentials}@127.0.0.1:{port}/{name}"

    def migrate(self, environment: Mapping[str, str]) -> None:
        self._run(str(PYTHON_BIN / "flask"), "db", "upgrade", account=None, **environment)

    def servers(self, environment: Mapping[str, str], how_many: int) -> list[Server]:
        servers = []
        for number in range(1, how_many + 1):
            port = _free_port()
            server = Server(
                url=f"http://127.0.0.1:{port}",
                environment={**environment, "PORT": str(port)},
                log=self.folder / f"server-{number}.log",
            )
            server.start()
            self.stack.callback(server.stop)
            servers.append(server)
        for server in servers:
            server.wait_until_ready()
        return servers

    def nginx(self, port: int, servers: Sequence[Server]) -> str:
        """Start nginx in front of those servers. Returns its URL."""
        home = self._own_folder("nginx")
        names = {
            f"APP_{number}": urlsplit(server.url).netloc for number, server in enumerate(servers, 1)
        }
        site = home / "site.conf"
        self._write(
            site,
            _filled(
                DEPLOY / "nginx.conf.template",
                LISTEN=f"127.0.0.1:{port}",
                PROXY_SOURCE=PROXY_ADDRESS,
                **names,
            ),
        )
        temporary = "".join(
            f"    {kind}_temp_path {home}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = home / "nginx.conf"
        self._write(
            main,
            f"daemon off;\npid {home}/nginx.pid;\nworker_processes 1;\nerror_log stderr;\n"
            f"events {{}}\nhttp {{\n    access_log off;\n{temporary}    include {site};\n}}\n",
        )
        process, log = self._start(
            "nginx",
            ["-p", str(home), "-e", "stderr", "-c", str(main)],
            account=self.account,
        )
        _wait(lambda: _listens(port), process, log)
        return f"http://127.0.0.1:{port}"

    def _start(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        stop: signal.Signals = signal.SIGTERM,
        account: pwd.struct_passwd | None = None,
    ) -> tuple["subprocess.Popen[bytes]", Path]:
        log = self.folder / f"{program}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [_find(program) or program, *arguments],
                cwd="/",
                env=_kept_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C goes to this script, which ends the others in their order.
                start_new_session=True,
                **_as(account),
            )
        self.stack.callback(_end, process, stop)
        self.processes[program] = process
        return process, log

    def _run(self, program: str, *arguments: str, **variables: str | None) -> None:
        done = self._finished(program, *arguments, **variables)
        if done.returncode:
            raise CannotStart(f"Cannot start: {Path(program).name} failed.\n{done.stdout}")

    def _succeeds(self, program: str, *arguments: str) -> bool:
        return self._finished(program, *arguments).returncode == 0

    def _finished(
        self, program: str, *arguments: str, **variables: Any
    ) -> "subprocess.CompletedProcess[str]":
        account = variables.pop("account", self.account)
        return subprocess.run(
            [_find(program) or program, *arguments],
            cwd="/" if account else ROOT,
            env=_kept_environment() | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            **_as(account),
        )

    def _own_folder(self, name: str) -> Path:
        """A folder that only the account of that program may enter."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        self._give_away(folder)
        return folder

    def _write(self, path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        self._give_away(path)

    def _give_away(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)


def _find(program: str) -> str | None:
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    folders = [os.environ.get("PATH", os.defpath), *MORE_FOLDERS, *map(str, newest_first)]
    return shutil.which(program, path=os.pathsep.join(folders))


def _version(folder: Path) -> int:
    """The version number in ``…/15/bin``: as a text, 9 would be newer than 15."""
    return int(re.sub(r"\D", "", folder.parent.name) or 0)


def _kept_environment() -> dict[str, str]:
    """The environment without our settings: those in a shell are for another server."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name in kept}


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise CannotStart("Cannot start: run this under an account that is not root.")


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _filled(template: Path, **values: str) -> str:
    """The template with each ``${NAME}`` replaced, the way nginx's image does it."""
    text = template.read_text(encoding="utf-8")
    return re.sub(r"\$\{([A-Z][A-Z_0-9]*)\}", lambda name: values[name[1]], text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _wait(
    is_there: Callable[[], bool], process: "subprocess.Popen[bytes] | None", log: Path
) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_there():
        if process is None or process.poll() is not None or time.monotonic() > deadline:
            written = log.read_text(encoding="utf-8", errors="replace")
            raise CannotStart(f"Cannot start: {log.stem} did not come up.\n{written[-3000:]}")
        time.sleep(0.05)


def _end(process: "subprocess.Popen[bytes]", how: signal.Signals = signal.SIGTERM) -> None:
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8080, help="where nginx listens (8080)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    database_url = os.environ.get("DATABASE_URL", "")
    if not database_url.startswith("postgresql://"):
        database_url = ""

    def say(what: str) -> None:
        print(f"Starting {what}", file=sys.stderr, flush=True)

    try:
        with running(port=given.port, database_url=database_url, say=say) as topology:
            print(f"http://localhost:{given.port} is ready. Ctrl-C ends it.")
            for server in topology.servers:
                print(f"  server    {server.url}")
            print(f"  database  {_without_password(topology.database_url)}  through PgBouncer")
            print(f"  database  {_without_password(topology.direct_database_url)}")
            print(f"  Redis     {topology.redis_url}")
            print(f"  mail and logs in {topology.folder}", flush=True)
            while not (ended := topology.ended()):
                time.sleep(0.5)
            raise CannotStart(f"Ended by itself: {', '.join(ended)}. Everything else was stopped.")
    except KeyboardInterrupt:
        print("Ended.", file=sys.stderr)


def _without_password(url: str) -> str:
    return re.sub(r":[^:@/]*@", "@", url)


if __name__ == "__main__":
    main()
