"""Two people, one store: sweeps with overlapping stages, started together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from cluster import Cluster
from lab import GROUP, ROOT, Lab

PEOPLE = {"games": "tatoeba", "news": "tatoeba,bucc"}
PROBE = "import torch, hydra, transformers"


@pytest.fixture(scope="module")
def python(cluster: Cluster) -> str:
    """An interpreter with our packages that others may run: this one, or the system's of the same version."""
    own = cluster.root / "python"
    system = f"/usr/bin/python3.{sys.version_info.minor}"
    if not own.exists() and Path(system).exists():
        subprocess.run([system, "-m", "venv", "--without-pip", str(own)], check=True)
        (place,) = own.glob("lib/python*/site-packages")
        packages = sysconfig.get_path("purelib")
        (place / "ours.pth").write_text(f"import site; site.addsitedir({packages!r})\n")
    for candidate in (sys.executable, str(own / "bin/python")):
        who = {"user": "games", "group": GROUP, "extra_groups": [], "cwd": "/"}
        try:
            seen = f"open({str(ROOT / 'launch.py')!r}); {PROBE}"
            subprocess.run([candidate, "-c", seen], check=True, capture_output=True, **who)  # type: ignore[call-overload]
            return candidate
        except (OSError, subprocess.CalledProcessError):
            continue
    pytest.skip("another user can run neither this Python nor the system's, or cannot read this checkout")


def test_two_users_share_stages(cluster: Cluster, library: Path, place: Path, python: str) -> None:
    store, common = place / "store", place / "store/library/toy"
    shutil.copytree(library, common)
    for path in (place, *place.rglob("*")):
        shutil.chown(path, "games", GROUP)
    labs = {user: Lab(cluster, store, common, user, python) for user in PEOPLE}
    made = labs["games"].launch("model=base", "inter=none", "target=tatoeba", "do=fetch", f"store.group={GROUP}")
    assert made.returncode == 0, made.output
    before = os.umask(0o077)  # what a careful site sets; the store is shared all the same
    try:
        both = [
            lab.launch("model=base", "inter=none", f"target={PEOPLE[user]}", f"sweep={user}", wait=False)
            for user, lab in labs.items()
        ]
    finally:
        os.umask(before)
    said = [process.communicate(timeout=180)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    lab = labs["news"]
    lab.drained()
    lab.all_done()
    assert len(lab.stages()) == 3
    assert set(lab.attempts().values()) == {1}
    owners = {path.owner() for path in store.rglob("*")}
    assert owners == set(PEOPLE)
    assert {path.group() for path in store.rglob("*")} == {GROUP}
    report = lab.launch("do=report", slurm=False)  # and either writes what the other has written
    assert report.returncode == 0, report.output
    assert labs["games"].launch("do=report", slurm=False).returncode == 0
