"""What a cluster does to jobs: nothing is lost, and at most the same command is needed again."""

from __future__ import annotations

import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from lab import PAIR, Lab

LONG = ["recipe.pretrain.steps=600", "numerics.save_every=2"]


def running(lab: Lab) -> str:
    """Wait until the long training is well under way and has saved its state; its job's id."""
    lab.until(lambda: [p for s in lab.stages() for p in s.glob("attempts/*/resume")], what="a saved state")
    return lab.job(lab.stage("train"))


def resumed(lab: Lab) -> None:
    """Every attempt but the first went on from where the one before had stopped."""
    later = sorted(lab.stage("train").glob("attempts/*/log.txt"), key=lambda p: int(p.parent.name))[1:]
    assert later
    assert all("resum" in log.read_text() for log in later), [log.read_text() for log in later]


def test_a_cancelled_job_goes_on_with_the_same_command(lab: Lab) -> None:
    lab.submit(*PAIR, *LONG)
    lab.cluster.run("scancel", running(lab))
    lab.drained(90)  # with what depended on it
    assert not lab.done()
    assert "2 jobs submitted" in lab.submit(*PAIR, *LONG)
    lab.drained()
    assert lab.done()
    resumed(lab)


def test_a_preempted_job_goes_on_by_itself(lab: Lab) -> None:
    lab.submit(*PAIR, *LONG, "hydra.launcher.partition=low")
    job = running(lab)
    whole = ["-p", "high", f"--nodes={lab.cluster.nodes}", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 5"]
    lab.cluster.run("sbatch", *whole)
    lab.until(lambda: lab.state(job) != "RUNNING", what="the preemption")
    lab.drained()
    assert lab.done()
    resumed(lab)


def test_a_time_limit_shorter_than_the_stage(lab: Lab) -> None:
    # A minute is the shortest limit there is, and Slurm's signal comes up to a minute early.
    lab.submit(
        *PAIR,
        "recipe.pretrain.steps=1500",
        "hydra.launcher.partition=short",
        "hydra.launcher.timeout_min=1",
        "hydra.launcher.signal_delay_s=5",
        "hydra.launcher.stages.any.evaluate.timeout_min=1",
    )
    lab.drained(600)
    assert lab.done()
    resumed(lab)


@pytest.mark.parametrize("tasks", [True, False], ids=["tasks dead", "tasks alive"])
def test_a_node_that_dies(lab: Lab, tasks: bool) -> None:
    lab.submit(*PAIR, *LONG)
    node = lab.node(running(lab))
    lab.cluster.crash(node, tasks)
    try:
        lab.until(lambda: lab.attempts()[lab.stage("train").name] > 1, 150, "a second attempt")
    finally:
        lab.cluster.node(node)
    lab.drained()
    assert lab.done()
    resumed(lab)


def test_the_controller_restarts(lab: Lab) -> None:
    lab.submit(*PAIR, *LONG)
    running(lab)
    lab.cluster.stop("slurmctld")
    late = lab.launch(*PAIR, *LONG, wait=False)  # waits for the controller instead of failing
    time.sleep(15)
    lab.cluster.controller()
    said, _ = late.communicate(timeout=180)
    assert late.returncode == 0, said
    assert "0 jobs submitted" in said
    lab.drained()
    assert lab.done()
    assert set(lab.attempts().values()) == {1}


def test_no_accounting(lab: Lab) -> None:
    lab.cluster.stop("slurmdbd")
    try:
        lab.submit(*PAIR)
        lab.drained()
        assert lab.done()
    finally:
        lab.cluster.accounting()


def test_a_failing_stage_blocks_only_what_needs_it(lab: Lab, tmp_path: Path) -> None:
    grid = ["model=base", "inter=none,mnli", "target=tatoeba"]
    lab = Lab(lab.cluster, lab.store, shutil.copytree(lab.library, tmp_path / "library"))
    broken = lab.library / "data/mnli/en/train.parquet"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])
    lab.submit(*grid)
    name = next(lab.store.glob("sweeps/*.yaml")).stem
    lab.drained()
    said = lab.launch("do=status", f"sweep={name}").output
    assert "2 done, 1 failed, 1 blocked of 4 stages" in said
    assert "Parquet" in said
    broken.write_bytes(whole)
    assert "2 jobs submitted" in lab.launch("do=retry", f"sweep={name}", tiny=False).output
    lab.drained()
    assert lab.done()


def test_a_limit_on_submitted_jobs(lab: Lab) -> None:
    lab.cluster.limit(4)
    try:
        said = lab.submit("model=base", "inter=mnli", "target=xnli,tatoeba")
        assert "submits the rest" in said
        assert len(lab.queue()) <= 4
        lab.drained(900)
    finally:
        lab.cluster.limit(-1)
    assert lab.done()
    assert set(lab.attempts().values()) == {1}
    assert len(lab.stages()) == 7


def test_arrays_of_two(lab: Lab) -> None:
    """MaxArraySize bounds the index: two elements a chunk, and no refusal."""
    few = replace(lab.cluster, max_array_size=2)
    few.configure()
    few.stop("slurmctld")
    few.controller()
    try:
        lab.submit("model=base", "inter=none", "target=tatoeba", "seed=0,1,2,3,4")
        jobs = lab.queue()
        assert len(jobs) == 10
        assert {job.split("_")[-1] for job in jobs if "_" in job} == {"0", "1"}
    finally:
        lab.cluster.run("scancel", *lab.queue(), check=False)
        lab.cluster.configure()
        lab.cluster.stop("slurmctld")
        lab.cluster.controller()


def test_a_driver_killed_while_it_submits(lab: Lab) -> None:
    process = lab.launch(*PAIR, wait=False)
    lab.until(lambda: [p for p in lab.store.glob("slurm/xstilts-*.json") if '"arrays": []' not in p.read_text()])
    process.send_signal(signal.SIGKILL)
    process.communicate()
    said = lab.submit(*PAIR)
    lab.drained()
    assert lab.done(), said
    assert set(lab.attempts().values()) == {1}


def test_two_sweeps_started_together_share_stages(lab: Lab) -> None:
    both = [
        lab.launch("model=base", "inter=none", f"target={target}", f"sweep=sweep{number}", wait=False)
        for number, target in enumerate(("tatoeba", "tatoeba,xcopa"))
    ]
    said = [process.communicate(timeout=180)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    lab.drained()
    assert lab.done()
    assert set(lab.attempts().values()) == {1}
    assert len(lab.stages()) == 5
