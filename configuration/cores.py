"""How many cores this process may use. A container may have fewer than its host."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def usable(cgroups: Path = CGROUPS, own_cgroup: Path = OWN_CGROUP) -> int:
    """The cores that the affinity of the process and the quotas of its cgroups (version 2) leave.

    A part of a core counts as a whole one.
    """
    limits = [_allowed(), *(math.ceil(quota) for quota in _quotas(cgroups, own_cgroup))]
    return max(1, min(limits))


def _allowed() -> int:
    # macOS has no affinity.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(cgroups: Path, own_cgroup: Path) -> Iterator[float]:
    """The quotas, in cores, of the process's cgroup and of all above it. Each of them holds."""
    folder = _folder(cgroups, own_cgroup)
    for one in (folder, *folder.parents):
        if one.is_relative_to(cgroups):
            yield from _quota(one / "cpu.max")


def _folder(cgroups: Path, own_cgroup: Path) -> Path:
    for line in _read(own_cgroup).splitlines():
        hierarchy, _, path = line.partition("::")
        # Version 2 is the hierarchy 0. A path with ".." is outside the namespace of the container.
        if hierarchy == "0" and ".." not in path:
            return cgroups / path.lstrip("/")
    return cgroups


def _quota(file: Path) -> Iterator[float]:
    """``cpu.max`` holds two numbers of microseconds: the quota, or ``max``, and the period."""
    quota, _, period = _read(file).strip().partition(" ")
    if quota.isdecimal() and period.isdecimal() and int(period):
        yield int(quota) / int(period)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
