"""What a cluster does to jobs: nothing is lost, and at most the same command is needed again."""

from __future__ import annotations

import time

import pytest
from lab import PAIR, Lab

LONG = ["recipe.pretrain.steps=600", "numerics.save_every=2"]


def running(lab: Lab) -> str:
    """Wait until the long training is well under way; its job's id."""
    lab.until(lambda: len(lab.stages()) == 2 and lab.steps(lab.stage("train")) > 20, what="the training")
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
        "recipe.pretrain.steps=6000",
        "hydra.launcher.partition=short",
        "hydra.launcher.timeout_min=1",
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


def test_a_failing_stage_blocks_only_what_needs_it(lab: Lab) -> None:
    grid = ["model=base", "inter=none,mnli", "target=tatoeba"]
    said = lab.launch(*grid, "recipe.inter.max_query_length=63", "do=plan").output
    assert "5" in said
    lab.submit(*grid, "recipe.inter.max_length=100000")  # longer than the model's positions: refused by the stage
    lab.drained()
    said = lab.launch(*grid, "do=status", "sweep=" + next(lab.store.glob("sweeps/*.yaml")).stem).output
    assert "1 failed" in said
    assert "blocked" in said
    assert sum((s / "done.json").exists() for s in lab.stages()) == 2


def test_short_arrays_and_a_limit_on_submitted_jobs(lab: Lab) -> None:
    lab.cluster.limit(4)
    try:
        said = lab.submit("model=base", "inter=mnli", "target=xnli,tatoeba")
        assert "submits the rest" in said
        assert len(lab.queue()) <= 4
        lab.drained(600)
        assert lab.done()
        assert set(lab.attempts().values()) == {1}
        assert len(lab.stages()) == 7
    finally:
        lab.cluster.limit(-1)
