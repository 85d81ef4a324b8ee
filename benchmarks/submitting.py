"""How long it takes to submit a whole grid to a Slurm cluster: 3 models x 11 intermediate tasks x 10 targets.

    python benchmarks/submitting.py [FOLDER]

Starts a test cluster of its own (see tests/slurm/cluster.py) whose partition is down, so that nothing runs; fills a toy
library; then submits, submits again, asks for the status and cancels. Prints seconds, and the load of the machine: with
other work on it, seconds of CPU say more. FOLDER keeps the library.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/slurm"))

from cluster import Cluster  # noqa: E402 (after its folder is known)

INTER = "anli,mnli,qqp,squad,squad_v2,hellaswag,ccg,cosmosqa,csqa,multitask"  # and none, the baseline
GRID = ["model=base,large,xl", f"inter={INTER}", "world=toy", "recipe=smoke"]
SIZES = [f"world.sizes.{split}={size}" for split, size in (("train", 32), ("selection", 16), ("dev", 16), ("test", 16))]


def main(folder: Path) -> None:
    root = Path(tempfile.mkdtemp(prefix="xs-", dir="/tmp"))  # short, since sockets lie in it
    root.chmod(0o755)  # munge serves every user
    cluster = Cluster(root=root, port=18800, nodes=1)
    environment = {**os.environ, **cluster.environment, "OMP_NUM_THREADS": "1"}
    library = [f"library={folder / 'library'}"]

    def launch(what: str, *typed: str) -> None:
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, str(ROOT / "launch.py"), "-m", *GRID, *SIZES, *library, *typed]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        last = done.stdout.strip().splitlines()[-1][:80]
        print(f"{what:<8} {seconds:6.1f} s  {cpu:6.1f} s of CPU   {last}", flush=True)

    slurm = ["hydra/launcher=slurm", "hydra.launcher.gpus_per_node=0", "hydra.launcher.partition=main"]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    cluster.up()
    try:
        cluster.run("scontrol", "update", "PartitionName=main", "State=DOWN")
        with tempfile.TemporaryDirectory() as store:
            launch("fill", f"store={store}", "do=fetch")
            launch("submit", f"store={store}", *slurm)
            print(f"         {len(cluster.run('squeue', '-h', '-r').splitlines())} jobs in the queue")
            launch("again", f"store={store}", *slurm)
            launch("status", f"store={store}", "do=status")
            launch("cancel", f"store={store}", "do=cancel")
            print(f"         {len(cluster.run('squeue', '-h', '-r').splitlines())} jobs in the queue")
    finally:
        cluster.down()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
