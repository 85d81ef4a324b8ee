"""One grid, three ways: through the queue, by whole nodes, and on a workstation. The same table, every stage once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from cluster import Cluster
from lab import LONG, PAIR, Lab

GRID = ["model=base,large", "inter=mnli,squad", "target=tatoeba,bucc,mlqa,xquad"]  # and inter=none: 24 cells
STAGES = 34
POOL = ["hydra.launcher.mode=pool", "hydra.launcher.nodes=2"]


@pytest.fixture(scope="module")
def expected(cluster: Cluster, library: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The table of a workstation."""
    lab = Lab(cluster, tmp_path_factory.mktemp("workstation") / "store", library)
    done = lab.launch(*GRID, slurm=False)
    assert done.returncode == 0, done.output
    return pd.read_parquet(lab.store / "results.parquet")


def once(lab: Lab) -> None:
    assert len(lab.stages()) == STAGES
    lab.all_done()
    assert set(lab.attempts().values()) == {1}


def test_through_the_queue_where_it_takes_few_jobs(lab: Lab, expected: pd.DataFrame) -> None:
    """Chunks of arrays, and waves that submit what did not fit in; what is queued is not queued twice."""
    with lab.cluster.tight(array=10, jobs=20):
        said = lab.submit(*GRID)
        assert "submits the rest" in said
        first = lab.queue()
        assert 15 < len(first) <= 20
        assert max(int(job.split("_")[1]) for job in first if "_" in job) < 10
        lab.drained()
    once(lab)
    jobs = dict(lab.jobs())
    assert len(lab.jobs()) == len(jobs) == STAGES
    rows = lab.cluster.run("sacct", "-X", "-n", "-P", "-j", ",".join(jobs.values()), "-o", "JobName,State")
    assert sorted(rows.split()) == sorted(f"{stage}|COMPLETED" for stage in jobs)
    pd.testing.assert_frame_equal(lab.table(*GRID), expected, check_exact=True)


def test_by_whole_nodes(lab: Lab, expected: pd.DataFrame) -> None:
    assert "2 nodes asked for" in lab.submit(*GRID, *POOL)
    assert "0 nodes asked for" in lab.submit(*GRID, *POOL)  # those two are enough
    assert len(lab.queue()) == 2
    lab.drained()
    once(lab)
    pd.testing.assert_frame_equal(lab.table(*GRID), expected, check_exact=True)


def test_a_cancelled_pool_goes_on(lab: Lab) -> None:
    line = [*PAIR, *LONG, "hydra.launcher.mode=pool", "hydra.launcher.nodes=1"]
    lab.submit(*line)
    lab.until(lambda: len(lab.stages()) == 2 and lab.steps(lab.stage("train")) > 20, what="the training")
    assert "cancelled" in lab.launch("do=cancel", f"sweep={lab.sweep}").output
    lab.drained(90)
    assert not lab.done()
    assert "1 nodes asked for" in lab.submit(*line)
    lab.drained()
    lab.all_done()
    assert lab.attempts()[lab.stage("train").name] == 2


@pytest.fixture
def queued(lab: Lab) -> str:
    """What the command said that queued one cell behind a job that keeps every node busy."""
    whole = ["-p", "main", f"--nodes={lab.cluster.nodes}", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 300"]
    lab.cluster.run("sbatch", *whole)
    return lab.launch(*PAIR, m=False).output


def test_what_waits_says_why_and_runs_the_code_of_its_submission(lab: Lab, queued: str) -> None:
    assert "2 jobs submitted" in queued  # without -m too

    def reason() -> bool:  # which the controller has when it has tried to start the job
        shown = lab.launch("do=status", f"sweep={lab.sweep}", slurm=False).output
        assert "waits for what it starts from" in shown
        return "Resources" in shown or "Priority" in shown

    lab.until(reason, what="the reason why it waits")
    (snapshot,) = (lab.store / "slurm/code").iterdir()
    script = next(lab.store.glob("slurm/*/*submission.sh")).read_text()
    assert f"PYTHONPATH={snapshot}/src" in script
    assert (snapshot / "conf/config.yaml").exists()
