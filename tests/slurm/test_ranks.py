"""One training on several nodes: the weights of one process, and exact after a preemption."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import torch
from lab import PAIR, Lab
from safetensors.torch import load_file

#: Two nodes of two processes. Without dropout, which differs from rank to rank, and with an eps that does not let AdamW
#: divide the rounding of a gradient that is next to nothing by itself.
STEPS = 100
SEVERAL = "hydra.launcher.stages.any.train={nodes:2,tasks_per_node:2}"
RECIPE = [
    *(f"recipe.pretrain.steps={STEPS}", "recipe.pretrain.dropout=0", "recipe.pretrain.eps=0.01"),
    *("numerics.save_every=1", "keep=all"),
]
#: Gradients are summed in another order: float32's rounding.
TOLERANCE = 2e-6


def weights(lab: Lab) -> dict[str, torch.Tensor]:
    stage = lab.stage("train")
    attempt = stage / "attempts" / str(json.loads((stage / "done.json").read_bytes())["attempt"])
    return load_file(attempt / "checkpoint/model.safetensors") | load_file(attempt / "checkpoint/heads.safetensors")


def notes(lab: Lab, attempt: int) -> dict:
    return json.loads((lab.stage("train") / f"attempts/{attempt}/record.json").read_bytes())["notes"]


def elsewhere(lab: Lab, name: str) -> Lab:
    """The same cluster and library, another store."""
    place = lab.store.parent / name
    place.mkdir()
    return Lab(lab.cluster, place / "store", lab.library)


def test_two_nodes_of_two_processes_preempted_on_the_way(lab: Lab) -> None:
    one, straight = elsewhere(lab, "one"), elsewhere(lab, "straight")
    one.submit(*PAIR, *RECIPE)
    one.drained()
    straight.submit(*PAIR, *RECIPE, SEVERAL)
    straight.drained()
    lab.submit(*PAIR, *RECIPE, SEVERAL, "hydra.launcher.partition=low")
    stage = lab.stage("train")
    lab.until(lambda: lab.steps(stage) > 10, seconds=300, what="some steps")
    job = lab.job(stage)
    assert lab.node(job) == "node[1-2]"
    whole = ["-p", "high", f"--nodes={lab.cluster.nodes}", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1"]
    lab.cluster.run("sbatch", *whole)
    lab.until(lambda: lab.state(job) != "RUNNING", what="the preemption")
    lab.drained()
    for each in (lab, straight, one):
        each.all_done()

    expected, found, resumed = weights(one), weights(straight), weights(lab)
    print(f"largest difference {max(float((found[n] - w).abs().max()) for n, w in expected.items()):.1e}")
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-6, atol=TOLERANCE)
        assert torch.equal(found[name], resumed[name]), name
    assert [notes(lab, n)["machine"]["ranks"] for n in (1, 2)] == [4, 4]
    assert notes(one, 1)["machine"]["ranks"] == 1
    after = notes(lab, 2)["resumed"]
    assert 10 < after["step"] < STEPS
    assert after["changed"] == {}
    assert lab.attempts()[stage.name] == 2  # the four of them began it twice
    assert requeues(lab.store) == 1


def requeues(store: Path) -> int:
    """How often any task of any job has put its job back into the queue."""
    return sum(len(re.findall("saved, and queued again", out.read_text())) for out in store.glob("slurm/*/*.out"))


def test_a_task_that_is_killed_ends_the_job(lab: Lab) -> None:
    lab.submit(*PAIR, "recipe.pretrain.steps=100000", SEVERAL)
    stage = lab.stage("train")
    lab.until(lambda: lab.steps(stage) > 3, seconds=300, what="some steps")
    job = lab.job(stage)
    (log,) = lab.store.glob(f"slurm/*/{job}_3_log.out")
    (process,) = re.findall(r"rank 3 of 4, process (\d+)", log.read_text())
    os.kill(int(process), signal.SIGKILL)
    lab.drained(120)
    record = json.loads((stage / "attempts/1/record.json").read_bytes())
    assert record["status"] == "failed"
    assert "another process of this stage was killed" in record["error"]
    assert not (stage / "done.json").exists()
