"""A sweep through the queue: the same numbers as on a workstation, and every stage once."""

from __future__ import annotations

import pandas as pd
from lab import PAIR, Lab

GRID = ["model=base", "inter=mnli", "target=xnli,tatoeba"]


def values(lab: Lab) -> pd.DataFrame:
    return pd.read_parquet(lab.store / "results.parquet")


def test_same_values_as_the_workstation(lab: Lab) -> None:
    said = lab.submit(*GRID)
    assert "7 jobs submitted" in said
    queued = lab.queue()
    assert len(queued) == 7
    shown = lab.launch("do=status", f"sweep={next(lab.store.glob('sweeps/*.yaml')).stem}").output
    assert "waits for what it starts from" in shown
    again = lab.submit(*GRID)  # nothing is run twice
    assert "0 jobs submitted" in again
    assert set(lab.queue()) <= set(queued)
    lab.drained()
    assert lab.done()
    assert set(lab.attempts().values()) == {1}
    rows = lab.cluster.run(
        "sacct", "-X", "-n", "-P", "-j", ",".join(j.split("_")[0] for j in queued), "-o", "JobName,State"
    )
    assert sorted(rows.split()) == sorted(f"{s.name}|COMPLETED" for s in lab.stages())
    assert lab.launch(*GRID).returncode == 0  # nothing to do, and the table
    other = Lab(lab.cluster, lab.store.parent / "workstation", lab.library)
    assert other.launch(*GRID, slurm=False).returncode == 0
    pd.testing.assert_frame_equal(values(lab), values(other), check_exact=True)


def test_one_cell_without_m_is_queued_too(lab: Lab) -> None:
    done = lab.launch(*PAIR, m=False)
    assert "2 jobs submitted" in done.output
    lab.drained()
    assert lab.done()


def test_code_is_frozen_at_submission(lab: Lab) -> None:
    lab.submit(*GRID)
    (snapshot,) = (lab.store / "slurm/code").iterdir()
    script = next(lab.store.glob("slurm/*/*submission.sh")).read_text()
    assert f"PYTHONPATH={snapshot}/src" in script
    assert (snapshot / "conf/config.yaml").exists()
