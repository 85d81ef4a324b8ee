"""What a cluster does to jobs: nothing is lost, and at most the same command is needed again."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from lab import LONG, PAIR, Lab


def running(lab: Lab) -> str:
    """Wait until the long training is well under way and has saved its state; its job's id."""
    lab.until(lambda: saved(lab.stages()), what="a saved state")
    return lab.job(lab.stage("train"))


def saved(stages: list[Path]) -> bool:
    return bool(stages) and any(list(stage.glob("attempts/*/resume")) for stage in stages)


def attempts(stage: Path, file: str) -> list[Path]:
    """A file of every attempt, oldest first."""
    return sorted(stage.glob(f"attempts/*/{file}"), key=lambda p: int(p.parent.name))


def statuses(stage: Path) -> list[str]:
    """How its attempts ended, or that they are running."""
    return [json.loads(path.read_bytes())["status"] for path in attempts(stage, "record.json")]


def resumed(stage: Path) -> None:
    """Every attempt but the first went on from where the one before had stopped."""
    later = attempts(stage, "log.txt")[1:]
    assert later
    assert all("resum" in log.read_text() for log in later), [log.read_text() for log in later]


def test_a_cancelled_job_goes_on_with_the_same_command(lab: Lab) -> None:
    lab.submit(*PAIR, *LONG)
    lab.cluster.run("scancel", running(lab))
    lab.drained(90)  # with what depended on it
    assert not lab.done()
    assert "2 jobs submitted" in lab.submit(*PAIR, *LONG)
    lab.drained()
    lab.all_done()
    resumed(lab.stage("train"))


def test_a_preempted_job_goes_on_by_itself(lab: Lab) -> None:
    lab.submit(*PAIR, *LONG, "hydra.launcher.partition=low")
    job = running(lab)
    whole = ["-p", "high", f"--nodes={lab.cluster.nodes}", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1"]
    lab.cluster.run("sbatch", *whole)
    lab.until(lambda: lab.state(job) != "RUNNING", what="the preemption")
    lab.drained()
    lab.all_done()
    resumed(lab.stage("train"))


def test_nodes_die_and_time_runs_out(lab: Lab) -> None:
    """Three trainings, a node each: one node dies with all that runs there, one is cut off from what goes on running
    there (so that Slurm starts it a second time), and on the third the time limit is shorter than the training.

    A minute is the shortest limit there is, and Slurm's signal comes up to a minute early.
    """
    long = ["recipe.pretrain.steps=4000", "numerics.save_every=1"]  # longer than it takes Slurm to miss a node
    dying = train(lab, "recipe.pretrain.steps=2000", long[1])
    cut_off = train(lab, *long, "seed=1")
    timed = train(lab, *long, "seed=2", "hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=20")
    lab.until(lambda: saved([dying]) and saved([cut_off]), what="saved states")
    lost = [lab.node(lab.job(stage)) for stage in (dying, cut_off)]
    lab.cluster.crash(lost[0], tasks=True)
    lab.cluster.crash(lost[1], tasks=False)
    try:
        lab.until(lambda: lab.cluster.down_nodes() == set(lost), 90, "the loss of two nodes")
        lab.cluster.node(lost[0])
        lab.until(lambda: "fenced" in statuses(cut_off), 300, "a second copy, which the first one notices")
    finally:
        for node in lost:
            lab.cluster.node(node)
    lab.until(lambda: lab.attempts()[timed.name] > 1, what="a second attempt")
    lab.cluster.run("scontrol", "update", f"JobId={lab.job(timed)}", "TimeLimit=30")  # once is enough
    lab.drained(1200)
    lab.all_done()
    resumed(dying)
    resumed(timed)
    resumed(cut_off)  # which ran twice at once: the second copy fenced off the first
    assert statuses(cut_off) == ["fenced", "done"]
    assert json.loads((cut_off / "done.json").read_bytes())["attempt"] == 2


def train(lab: Lab, *typed: str) -> Path:
    """Submit one training, which takes a whole node, and what evaluates it; its folder."""
    before = set(lab.stages())
    lab.submit(*PAIR, *typed, "hydra.launcher.cpus_per_task=2", f"sweep=sweep{len(before)}")
    (found,) = (stage for stage in set(lab.stages()) - before if stage.name.startswith("train"))
    return found


def test_accounting_and_the_controller_are_away(lab: Lab) -> None:
    lab.cluster.stop("slurmdbd")
    try:
        lab.submit(*PAIR, *LONG)
        running(lab)
        lab.cluster.stop("slurmctld")
        late = lab.launch(*PAIR, *LONG, wait=False)  # waits for the controller instead of failing
        time.sleep(8)
        assert late.poll() is None
        lab.cluster.controller()
        said, _ = late.communicate(timeout=180)
        assert late.returncode == 0, said
        assert "0 jobs submitted" in said
        lab.drained()
    finally:
        lab.cluster.controller()
        lab.cluster.accounting()
    lab.all_done()
    assert set(lab.attempts().values()) == {1}


def test_a_failing_stage_blocks_only_what_needs_it(lab: Lab, tmp_path: Path) -> None:
    grid = ["model=base", "inter=none,mnli", "target=tatoeba"]
    lab = Lab(lab.cluster, lab.store, shutil.copytree(lab.library, tmp_path / "library"))
    shutil.rmtree(lab.library / "features", ignore_errors=True)  # made from the file before it broke
    broken = lab.library / "data/mnli/en/train.parquet"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])
    lab.submit(*grid)
    lab.drained()
    said = lab.launch("do=status", f"sweep={lab.sweep}").output
    assert "2 done, 1 failed, 1 blocked of 4 stages" in said
    assert "Parquet" in said
    broken.write_bytes(whole)
    assert "2 jobs submitted" in lab.launch("do=retry", f"sweep={lab.sweep}", tiny=False).output
    lab.drained()
    lab.all_done()


def test_a_disk_that_is_full_for_a_while(lab: Lab, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        lab = Lab(lab.cluster, disk / "store", lab.library)
        lab.submit(*PAIR, *LONG)
        running(lab)
        ballast = disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(bytes(32 << 20))
        lab.drained(90)
        assert not lab.done()
        ballast.unlink()
        assert "2 jobs submitted" in lab.submit(*PAIR, *LONG)
        lab.drained()
        lab.all_done()
        resumed(lab.stage("train"))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_driver_killed_while_it_submits(lab: Lab) -> None:
    process = lab.launch(*PAIR, wait=False)
    lab.until(lambda: [p for p in lab.store.glob("slurm/xstilts-*.json") if '"arrays": []' not in p.read_text()])
    process.send_signal(signal.SIGKILL)
    process.communicate()
    said = lab.submit(*PAIR)
    lab.drained()
    assert lab.done(), said
    assert set(lab.attempts().values()) == {1}
