"""Processor time of a short command, beside the import of Flask and SQLAlchemy alone.

Run it with ``.venv/bin/python -m benchmarks.command_start [rounds]``. The rounds are interleaved,
and the time is that of the processor, so a busy machine disturbs the ratio little.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tests.conftest import SECRET_KEY
from tests.servers import BIN, ROOT, environment_for, flask

FLOOR = "import flask, sqlalchemy"
COMMANDS: dict[str, list[str | Path]] = {
    FLOOR: [sys.executable, "-c", FLOOR],
    "flask version": [BIN / "flask", "version"],
    "flask users list": [BIN / "flask", "users", "list"],
}


def processor_seconds(command: list[str | Path], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_for(
            DATABASE_URL=f"sqlite:///{folder}/app.db", SECRET_KEY=SECRET_KEY
        )
        flask("db", "upgrade", environment=environment)
        measured = [
            {name: processor_seconds(command, environment) for name, command in COMMANDS.items()}
            for _ in range(rounds)
        ]
    print(f"{rounds} interleaved rounds; medians\n")
    for name in COMMANDS:
        seconds = median(each[name] for each in measured)
        ratio = median(each[name] / each[FLOOR] for each in measured)
        print(f"{name:26} {seconds:6.2f} s  {ratio:5.2f} of the import alone")


if __name__ == "__main__":
    main()
