"""The evaluation stage: what it leaves, and that batching and layers change nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiny
from xstilts import formats
from xstilts.data.batches import gather
from xstilts.data.library import Library
from xstilts.errors import DataError, UserError
from xstilts.stage import Stage
from xstilts.store import Stopped
from xstilts.work import evaluate, inputs, train
from xstilts.work.attempt import Attempt
from xstilts.work.inference import infer
from xstilts.work.machine import Machine

PARTS = ["en/dev", "en/test", "sw/test"]


@pytest.fixture(scope="module")
def checkpoint(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Attempt:
    attempt = tiny.attempt(tmp_path_factory.mktemp("trained"), tiny.train_stage(library, steps=10))
    train.run(attempt)
    return attempt


def evaluated(store: Path, stage: Stage, checkpoint: Attempt | None = None, **options: Any) -> Attempt:
    sources = {} if checkpoint is None else {"checkpoint": checkpoint.folder}
    attempt = tiny.attempt(store, stage, sources=sources, **options)
    evaluate.run(attempt)
    return attempt


def scores(attempt: Attempt) -> pa.Table:
    return pq.read_table(attempt.folder / "scores.parquet")


def topic(library: Library, checkpoint: Attempt, **options: Any) -> Stage:
    upstream = {"checkpoint": checkpoint.stage.id}
    return tiny.evaluate_stage(library, tiny.TOPIC, PARTS, **{"head": "topic", "upstream": upstream, **options})


def test_predictions_a_part_and_scores_a_row(library: Library, checkpoint: Attempt, tmp_path: Path) -> None:
    attempt = evaluated(tmp_path, topic(library, checkpoint), checkpoint)
    names = {path.name for path in (attempt.folder / "predictions").iterdir()}
    assert names == {"en.dev.parquet", "en.test.parquet", "sw.test.parquet"}
    rows = scores(attempt).to_pylist()
    assert [(row["language"], row["split"], row["count"]) for row in rows] == [
        ("en", "dev", 10),
        ("en", "test", 14),
        ("sw", "test", 9),
    ]
    for row in rows:
        table = pq.read_table(attempt.folder / f"predictions/{row['language']}.{row['split']}.parquet")
        data = library.read("topic", f"{row['language']}/{row['split']}")
        assert table["id"].equals(data["id"])
        assert table["gold"].equals(data["label"])
        right = sum(p == g for p, g in zip(table["prediction"].to_pylist(), table["gold"].to_pylist(), strict=True))
        assert row["value"] == pytest.approx(100 * right / row["count"])
    assert attempt.notes["items"] == 33


def test_another_cut_gives_the_same(library: Library, checkpoint: Attempt, tmp_path: Path) -> None:
    tables = []
    for budget in (1, 10_000):
        stage = topic(library, checkpoint, numerics={"micro_tokens": budget})
        attempt = evaluated(tmp_path, stage, checkpoint)
        tables.append(pq.read_table(attempt.folder / "predictions/en.test.parquet"))
    assert tables[0].drop_columns("confidence").equals(tables[1].drop_columns("confidence"))
    np.testing.assert_allclose(tables[0]["confidence"], tables[1]["confidence"], rtol=1e-5)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_retrieval_reads_the_layer_it_is_told(library: Library, tmp_path: Path, layer: int) -> None:
    """Without any checkpoint: the pretrained encoder. In order, and the same as one sequence at a time."""
    stage = tiny.evaluate_stage(library, tiny.TWINS, ["en/test", "sw/test"], layer=layer)
    attempt = evaluated(tmp_path, stage)
    assert {row["language"] for row in scores(attempt).to_pylist()} == {"en", "sw"}
    form, encoder = formats.get("nearest"), inputs.encoder(library, stage, None).eval()
    tokenizer = inputs.tokenizer(library, stage)
    table = library.read("twins", "sw/test")
    features = form.features(table, tiny.TWINS, tokenizer, inputs.limits(tiny.RECIPE))
    machine = Machine.of(tiny.NUMERICS, "fp32")
    outputs = infer(form, encoder, None, {("sw", "test"): features}, machine, tokenizer, layer)[("sw", "test")]
    assert len(outputs["raw"]) == 22
    for unit in range(11):
        batch = gather(features, np.array([unit]))
        alone = encoder(batch.tokens, batch.starts, layer)
        for sequence, (begin, end) in enumerate(zip(batch.starts[:-1], batch.starts[1:], strict=True)):
            mean = alone[begin:end].mean(0).detach().numpy()
            np.testing.assert_allclose(outputs["raw"][2 * unit + sequence], mean, rtol=1e-4, atol=1e-6)


def test_the_checkpoint_is_what_is_evaluated(library: Library, checkpoint: Attempt, tmp_path: Path) -> None:
    parts = ["en/test", "sw/test"]
    fresh = evaluated(tmp_path, tiny.evaluate_stage(library, tiny.TWINS, parts))
    upstream = {"checkpoint": checkpoint.stage.id}
    tuned = evaluated(tmp_path, tiny.evaluate_stage(library, tiny.TWINS, parts, upstream=upstream), checkpoint)
    one, two = (pq.read_table(run.folder / "predictions/sw.test.parquet") for run in (fresh, tuned))
    assert not np.allclose(one["score"], two["score"])


def test_it_stops_when_asked(library: Library, checkpoint: Attempt, tmp_path: Path) -> None:
    stage = topic(library, checkpoint, numerics={"micro_tokens": 30})
    with pytest.raises(Stopped):
        evaluated(tmp_path, stage, checkpoint, stop=tiny.Countdown(2))


def test_a_head_that_does_not_fit_is_refused(library: Library, checkpoint: Attempt, tmp_path: Path) -> None:
    def refused(stage: Stage, match: str, source: Attempt | None = checkpoint) -> None:
        with pytest.raises(UserError, match=match):
            evaluated(tmp_path, stage, source)

    refused(topic(library, checkpoint, head="topics"), "no head topics; it has topic")
    refused(topic(library, checkpoint, upstream={}), "nothing was trained that has it", None)
    stage = topic(library, checkpoint)
    stage.spec["task"]["labels"] = ["odd", "even"]
    refused(stage, "same labels in the same order")


def test_a_damaged_checkpoint_is_named(library: Library, checkpoint: Attempt, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint.folder, copy)
    stage = topic(library, checkpoint)
    for name, reason in [("heads.safetensors", "cannot be read"), ("checkpoint.json", "cannot be read")]:
        path = copy / "checkpoint" / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        attempt = tiny.attempt(tmp_path / "store", stage, sources={"checkpoint": copy})
        with pytest.raises(DataError, match=f"{name}: {reason}"):
            evaluate.run(attempt)
        path.write_bytes(whole)
