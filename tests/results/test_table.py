"""The tidy table: every row that was asked for, what is missing, and what is written."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from laboratory import SEEN, Lab, plain
from pandas.testing import assert_frame_equal

from xstilts import files
from xstilts.errors import DataError
from xstilts.results.table import COLUMNS, ORDER, SCORES, read_scores, replaced, table, unfinished, write
from xstilts.stage import Stage
from xstilts.store import Store, begin, publish
from xstilts.sweep.sweeps import Sweep

ASKED = (  # in the order that was agreed
    "model parameters inter regime target recipe seed language resource_gib seen metric metric_version split value "
    "count same_task collapsed synthetic partial stage attempt "
)


def test_columns_and_one_row_a_score(lab: Lab) -> None:
    cell = lab.cell("xquad", "squad", "large", seed=3)
    lab.sweep()
    frame = table(lab.store)
    assert " ".join(frame.columns).startswith(ASKED)
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 4 * 3, "languages times metrics"
    row = frame[(frame["language"] == "sw") & (frame["metric"] == "em_f1")].iloc[0].to_dict()
    assert row == {
        **{"model": "large", "parameters": 558840832, "inter": "squad", "regime": "english", "target": "xquad"},
        **{"recipe": "phang2020", "seed": 3, "language": "sw", "resource_gib": 1.6, "seen": True},
        **{"metric": "em_f1", "metric_version": "v1", "split": "dev", "value": plain(cell, "sw", "dev", "em_f1")},
        **{"count": 100, "same_task": True, "collapsed": False, "synthetic": False, "partial": False},
        **{"stage": cell["stages"][-1], "attempt": 1, "group": "qa", "primary": True, "world": "files"},
        **{"diverged": False, "tokens": 1000, "cut_tokens": 0, "cut_in_training": 0},
    }
    assert list(frame["primary"]) == list(frame["metric"] == "em_f1")


def test_unseen_languages_have_no_resource(lab: Lab) -> None:
    lab.cell("xnli")
    lab.sweep()
    frame = table(lab.store).drop_duplicates("language").set_index("language")
    assert frame.loc["qu", ["resource_gib", "seen"]].tolist() == [0.0, False]
    assert frame["resource_gib"].drop("qu").to_dict() == {k: SEEN[k] for k in ("de", "en", "sw", "ur")}
    assert frame["seen"].drop("qu").all()


def test_zero_gib_in_the_model_is_unseen(lab: Lab) -> None:
    lab.cell("tatoeba")
    lab.sweep(seen={"base": {"de": 0.0, "sw": 1.0}})
    assert table(lab.store).set_index("language")["seen"].to_dict() == {"de": False, "sw": True}


def test_a_cell_that_is_not_done_has_its_rows(lab: Lab) -> None:
    lab.cell("xnli", "mnli", value=None)
    lab.cell("tatoeba")
    lab.sweep()
    frame = table(lab.store)
    missing = frame[frame["target"] == "xnli"]
    assert len(missing) == 5 * 2, "languages times splits"
    assert missing["value"].isna().all()
    assert (missing["count"] == 0).all()
    assert (missing["metric"] == "accuracy").all()
    assert missing["primary"].all()
    assert missing["metric_version"].isna().all()
    assert missing["attempt"].isna().all()
    assert unfinished(frame) == 1


def test_a_language_without_data_is_nan_in_the_primary_metric_alone(lab: Lab) -> None:
    lab.cell("xquad", value=lambda *at: None if at[1] == "wo" else plain(*at))
    lab.sweep()
    frame = table(lab.store)
    lacking = frame[frame["language"] == "wo"]
    assert lacking["metric"].tolist() == ["em_f1"]
    assert lacking[["value", "count", "attempt"]].isna().to_numpy().tolist() == [[True, False, False]]
    assert len(frame) == 3 * 3 + 1
    assert unfinished(frame) == 0


def test_other_metrics_do_not_stand_in_for_the_primary_one(lab: Lab) -> None:
    lab.cell("xquad", value=lambda *at: None if at[3] == "em_f1" else plain(*at))
    lab.sweep()
    frame = table(lab.store)
    assert len(frame) == 4 * 3
    assert frame["value"].isna().tolist() == frame["primary"].tolist()


def test_an_undefined_score_stays_nan(lab: Lab) -> None:
    lab.cell("tatoeba", value=lambda *at: float("nan"))
    lab.sweep()
    frame = table(lab.store)
    assert frame["value"].isna().all()
    assert frame["count"].tolist() == [100, 100]
    assert frame["metric_version"].tolist() == ["v1", "v1"]


def test_collapse_is_of_any_training_in_the_chain(lab: Lab) -> None:
    inter = Stage("train", {"phase": "inter"})
    lab.execute(inter, True, collapsed=True)
    lab.cell("tatoeba", "mnli")["stages"].insert(0, inter.id)
    lab.cell("xnli", "mnli", collapsed=True)
    lab.cell("xnli", "none", collapsed=False)
    lab.cell("xquad", "none", collapsed=None, diverged=True)
    lab.sweep()
    flags = table(lab.store).groupby(["target", "inter"])[["collapsed", "diverged"]].first()
    assert flags["collapsed"].tolist() == [True, True, False, False], "tatoeba mnli, xnli mnli, xnli none, xquad none"
    assert flags["diverged"].tolist() == [False, False, False, True]


def test_a_cell_of_two_sweeps_is_there_once_as_the_newer_has_it(lab: Lab) -> None:
    old = lab.cell("tatoeba", partial=True)
    lab.sweep("b", "2026-01-01T00:00:00+00:00")
    new = lab.cell("tatoeba")
    lab.cell("xnli")
    lab.sweep("a", "2026-01-02T00:00:00+00:00")
    frame = table(lab.store)
    assert old["stages"] != new["stages"]
    assert set(frame.loc[frame["target"] == "tatoeba", "stage"]) == {new["stages"][-1]}
    assert not frame.duplicated([*ORDER]).any()


def test_other_data_under_the_same_name_is_said(lab: Lab) -> None:
    """As of two folders, which are no part of a world's name."""
    old = lab.cell("tatoeba", partial=True)
    lab.cell("xnli")
    older = lab.sweep("older", "2026-01-01T00:00:00+00:00")
    again = replace(older, name="again", created="2026-01-02T00:00:00+00:00")
    assert list(replaced([again, older])) == []
    new = lab.cell("tatoeba")
    assert old["stages"] != new["stages"]
    newer = lab.sweep("newer", "2026-01-03T00:00:00+00:00")
    (line,) = replaced([newer, older])
    assert "sweep older that newer sweeps replace: 1," in line
    assert list(replaced([older])) == list(replaced([newer])) == []


def test_one_sweep_alone(lab: Lab) -> None:
    lab.cell("tatoeba")
    first = lab.sweep("first")
    lab.cell("xnli")
    lab.sweep("second")
    assert set(table(lab.store, [first])["target"]) == {"tatoeba"}
    assert set(table(lab.store)["target"]) == {"tatoeba", "xnli"}


def test_an_attempt_that_is_not_published_does_not_count(lab: Lab) -> None:
    cell = lab.cell("tatoeba")
    stage = Stage("evaluate", {"task": "tatoeba"}, {"checkpoint": cell["stages"][0]})
    lab.execute(stage, False, lab.scores(cell, lambda *_: 99.0))
    lab.sweep()
    frame = table(lab.store)
    assert frame["attempt"].tolist() == [1, 1]
    assert (frame["value"] < 99).all()


def test_scores_of_a_store_that_is_only_read(lab: Lab, tmp_path: Path) -> None:
    lab.cell("tatoeba")
    sweep = lab.sweep()
    frame = table(Store(tmp_path / "mine", read=[lab.store.root]), [sweep])
    assert_frame_equal(frame, table(lab.store))


def test_order_does_not_depend_on_the_order_of_cells(lab: Lab) -> None:
    for target in ("xnli", "tatoeba"):
        for inter in ("squad", "none"):
            lab.cell(target, inter, seed=1)
            lab.cell(target, inter, "large")
    sweep = lab.sweep()
    frame = table(lab.store)
    sweep.cells.reverse()
    assert_frame_equal(table(lab.store, [sweep]), frame)


def test_an_empty_store_has_an_empty_table(tmp_path: Path) -> None:
    frame = table(Store(tmp_path))
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 0
    write(Store(tmp_path), frame)
    assert_frame_equal(pd.read_parquet(tmp_path / "results.parquet"), frame)


def test_written_files_hold_the_table(lab: Lab) -> None:
    lab.cell("xnli", "mnli", value=None)
    lab.cell("xquad", "none")
    lab.sweep()
    frame = table(lab.store)
    write(lab.store, frame)
    assert_frame_equal(pd.read_parquet(lab.store.root / "results.parquet"), frame)
    text = pd.read_csv(lab.store.root / "results.csv").astype(frame.dtypes.to_dict())
    assert_frame_equal(text, frame)
    assert sorted(p.name for p in lab.store.root.glob(".*")) == []


def test_a_kill_while_writing_leaves_the_old_file(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.cell("tatoeba")
    lab.sweep()
    write(lab.store, table(lab.store))
    before = (lab.store.root / "results.csv").read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write(lab.store, table(lab.store).head(1))
    assert (lab.store.root / "results.csv").read_bytes() == before
    assert len(pd.read_parquet(lab.store.root / "results.parquet")) == 2


@pytest.mark.parametrize("damage", ["truncated", "gone", "columns", "types"])
def test_damaged_scores_are_named(lab: Lab, damage: str) -> None:
    cell = lab.cell("tatoeba")
    lab.sweep()
    done = lab.store.folder(cell["stages"][-1]).published
    assert done is not None
    path = done / "scores.parquet"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "gone":
        path.unlink()
    elif damage == "columns":
        pq.write_table(pa.table({"language": ["sw"]}), path)
    else:
        rows = lab.scores(cell, plain)
        pq.write_table(rows.set_column(rows.schema.get_field_index("value"), "value", pa.array(["a", "b"])), path)
    with pytest.raises(DataError, match=r"scores\.parquet: not the scores of an evaluation"):
        table(lab.store)


def test_a_null_in_the_file_is_nan(tmp_path: Path) -> None:
    schema = [("language", pa.string()), ("split", pa.string()), ("metric", pa.string()), ("version", pa.string())]
    columns = pa.schema([*schema, ("value", pa.float64()), ("count", pa.int64())])
    pq.write_table(
        pa.table([["sw"], ["test"], ["f1"], ["v1"], [None], [0]], schema=columns), tmp_path / "scores.parquet"
    )
    assert pd.DataFrame(read_scores(tmp_path / "scores.parquet"))[4].isna().all()


def test_330_cells_in_50_languages_take_a_second_or_two(tmp_path: Path) -> None:
    """Three models, eleven inters, ten targets, as XTREME-R at scale: one file read a cell."""
    store = Store(tmp_path)
    languages = [f"x{number:02d}" for number in range(50)]
    parts = [(x, split, metric) for x in languages for split in ("dev", "test") for metric in ("em_f1", "f1")]
    rows = [dict(zip(SCORES.names, (*part, "v1", 50.0, 100), strict=True)) for part in parts]
    scores = pa.Table.from_pylist(rows)
    cells = []
    for number in range(330):
        train, evaluation = (Stage(kind, {"number": number}) for kind in ("train", "evaluate"))
        for stage in (train, evaluation):
            home = store.folder(stage.id)
            (home.root / "attempts").mkdir(parents=True)
            attempt = begin(home)
            files.write_json(attempt / "record.json", {"status": "done", "notes": {}})
            if stage is evaluation:
                pq.write_table(scores, attempt / "scores.parquet")
            publish(home, attempt)
        cells.append(
            {
                **{"model": "base", "inter": f"i{number % 11}", "regime": "english", "target": f"t{number // 11}"},
                **{"recipe": "r", "seed": 0, "parameters": 1, "world": "files", "group": "qa", "metric": "em_f1"},
                **{"synthetic": False, "partial": False, "same_task": False},
                **{"languages": languages, "splits": ["dev", "test"], "stages": [train.id, evaluation.id]},
            }
        )
    sweep = Sweep("big", "2026-01-01T00:00:00+00:00", "", [], cells, {}, {"base": dict.fromkeys(languages, 1.0)})
    began = time.process_time()
    frame = table(store, [sweep])
    assert time.process_time() - began < 4
    assert len(frame) == 330 * 50 * 2 * 2


def test_importing_results_is_light() -> None:
    code = (
        "import sys, xstilts.results; sys.exit(any(m in sys.modules for m in ('pandas', 'pyarrow', 'numpy', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_results_never_import_torch() -> None:
    code = "import sys, xstilts.results.show, xstilts.results.compare; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
