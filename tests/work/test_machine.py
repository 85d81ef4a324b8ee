"""What a process may take of its machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from xstilts.work.machine import _limits


@pytest.mark.parametrize(
    ("line", "folder", "name"),
    [
        ("0::/system.slice/job_7/step_0/task_0", "", "memory.max"),
        ("9:memory:/slurm/uid_0/job_7/step_0", "memory", "memory.limit_in_bytes"),
    ],
)
def test_the_limits_of_a_job_and_of_what_is_around_it(tmp_path: Path, line: str, folder: str, name: str) -> None:
    said, root = tmp_path / "cgroup", tmp_path / "sys"
    said.write_text(f"4:cpu,cpuacct:/elsewhere\n{line}\n")
    own = root / folder / line.rpartition(":")[2].lstrip("/")
    own.mkdir(parents=True)
    (own / name).write_text("max\n")
    job = next(one for one in (own, *own.parents) if one.name == "job_7")
    (job / name).write_text("8000000000\n")
    (root / folder / name).write_text("64000000000\n")
    assert list(_limits(said, root)) == [8_000_000_000, 64_000_000_000]


def test_no_control_groups(tmp_path: Path) -> None:
    assert list(_limits(tmp_path / "none", tmp_path)) == []
