"""The cores that a process may use, in containers and outside."""

import os
from pathlib import Path

import pytest

from configuration import cores
from tests.cases import each


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may run on 8 of the 64 cores of its host."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@each(
    "own, quotas, usable",
    [
        # A container sees its own cgroup at the top.
        ("0::/\n", {"": "200000 100000\n"}, 2),
        ("0::/\n", {"": "150000 100000\n"}, 2),
        ("0::/\n", {"": "25000 100000\n"}, 1),
        ("0::/\n", {"": "max 100000\n"}, 8),
        ("0::/\n", {"": "1600000 100000\n"}, 8),
        # A service of systemd is further down, and each quota above it holds too.
        ("1:cpu:/\n0::/a/b\n", {"a": "300000 100000\n", "a/b": "max 100000\n"}, 3),
        ("0::/a/b\n", {"a": "300000 100000\n", "a/b": "100000 100000\n"}, 1),
        # The cgroup of another namespace: only what is above all is known.
        ("0::/../b\n", {"": "200000 100000\n"}, 2),
        # Nothing that can be read limits nothing.
        ("", {}, 8),
        ("0::/a\n", {"a": "200000 0\n"}, 8),
        ("0::/a\n", {"a": "two cores\n"}, 8),
    ],
)
def test_the_smallest_limit_counts(
    tmp_path_factory: pytest.TempPathFactory, own: str, quotas: dict[str, str], usable: int
) -> None:
    folder = tmp_path_factory.mktemp("cgroups")
    (folder / "own").write_text(own)
    for name, text in quotas.items():
        (folder / "fs" / name).mkdir(parents=True, exist_ok=True)
        (folder / "fs" / name / "cpu.max").write_text(text)

    assert cores.usable(folder / "fs", folder / "own") == usable


def test_where_there_is_no_affinity_all_cores_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")

    assert cores.usable(tmp_path, tmp_path / "own") == 64
