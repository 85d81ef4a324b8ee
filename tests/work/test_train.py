"""The training stage: exact, resumable, and honest about what went wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from xstilts.data.library import Library
from xstilts.errors import UserError
from xstilts.stage import Stage
from xstilts.store import Fenced, Stopped
from xstilts.work import train
from xstilts.work.attempt import Attempt
from xstilts.work.entries import Entry
from xstilts.work.inputs import encoder


def trained(store: Path, stage: Stage, **options: Any) -> Attempt:
    attempt = tiny.attempt(store, stage, **options)
    train.run(attempt)
    return attempt


def weights(attempt: Attempt) -> dict[str, torch.Tensor]:
    folder = attempt.folder / "checkpoint"
    return load_file(folder / "model.safetensors") | load_file(folder / "heads.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def facts(attempt: Attempt) -> dict[str, Any]:
    return json.loads((attempt.folder / "checkpoint/checkpoint.json").read_text())


def lines(attempt: Attempt) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (attempt.folder / "metrics.jsonl").read_text().splitlines()]


def losses(attempt: Attempt) -> list[float]:
    return [line["loss"] for line in lines(attempt) if "loss" in line]


def mixed(library: Library) -> list[dict[str, Any]]:
    """Three formats: one with masking, one that needs whole batches."""
    return [tiny.entry(library, task) for task in (tiny.TOPIC, tiny.TEXT, tiny.QUESTIONS)]


def test_it_learns(library: Library, tmp_path: Path) -> None:
    attempt = trained(tmp_path, tiny.train_stage(library, steps=100, dropout=0.0, lr=1e-2, eval_every=100))
    assert losses(attempt)[0] > 0.6
    assert losses(attempt)[-1] < 0.35


@pytest.mark.parametrize("checkpoint", ["best", "last"])
@pytest.mark.parametrize("stops", [[1], [23], [3, 4, 17]])
def test_resumed_is_uninterrupted_to_the_bit(
    library: Library, tmp_path: Path, stops: list[int], checkpoint: str
) -> None:
    stage = tiny.train_stage(library, mixed(library), steps=24, checkpoint=checkpoint)
    straight = trained(tmp_path / "straight", stage)
    done = 0
    for at in stops:
        with pytest.raises(Stopped, match=f"after step {at} of 24"):
            trained(tmp_path / "resumed", stage, stop=tiny.Countdown(at - done - 1))
        done = at
    resumed = trained(tmp_path / "resumed", stage)
    assert same(weights(straight), weights(resumed))
    assert facts(straight) == facts(resumed)
    assert lines(straight) == lines(resumed)
    assert resumed.notes["resumed"] == {"attempt": str(len(stops)), "step": stops[-1], "changed": {}}
    assert resumed.notes["tokens"] == straight.notes["tokens"]


SPARSE = {"vocab_size": 200}  # of which the data has 60 ids at most


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_training_used_embeddings_is_training_all(
    library: Library, tmp_path: Path, checkpoint: str, decay: float
) -> None:
    """Bit-equal where something is learnt and, without weight decay, everywhere; else up to float32's rounding."""

    def run(embeddings: str) -> Attempt:
        stage = tiny.train_stage(
            library,
            [tiny.entry(library, task) for task in (tiny.TOPIC, tiny.QUESTIONS)],
            numerics={"embeddings": embeddings},
            config=SPARSE,
            weight_decay=decay,
            checkpoint=checkpoint,
            clip=0.1,
        )
        return trained(tmp_path / embeddings, stage)

    whole, used = run("whole"), run("used")
    assert (whole.notes["embeddings"], used.notes["embeddings"]) == (200, 58)
    assert facts(whole) == facts(used)
    assert lines(whole) == lines(used)
    expected, found = weights(whole), weights(used)
    table = "embeddings.word_embeddings.weight"
    a, b = expected.pop(table), found.pop(table)
    assert same(expected, found)
    assert torch.equal(a[:60], b[:60]) or decay
    if decay:
        torch.testing.assert_close(a, b, rtol=12 * 2**-24, atol=0)
        initial = encoder(library, used.stage, None).embeddings.weight[60:]
        assert (b[60:].abs() <= initial.abs()).all()
        assert not torch.equal(b[60:], initial)
    else:
        assert torch.equal(a, b)


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_used_embeddings_resume_to_the_bit(library: Library, tmp_path: Path, checkpoint: str) -> None:
    stage = tiny.train_stage(library, config=SPARSE, checkpoint=checkpoint, lr=1e-2)
    straight = trained(tmp_path / "straight", stage)
    with pytest.raises(Stopped):
        trained(tmp_path / "resumed", stage, stop=tiny.Countdown(6))
    assert same(weights(straight), weights(trained(tmp_path / "resumed", stage)))


def test_another_table_of_embeddings_is_refused_on_resuming(library: Library, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        trained(tmp_path, tiny.train_stage(library, config=SPARSE), stop=tiny.Countdown(3))
    with pytest.raises(UserError, match="of 58 embeddings, and this one would train 200"):
        trained(tmp_path, tiny.train_stage(library, config=SPARSE, numerics={"embeddings": "whole"}))


def test_a_diverged_run_decays_no_further(library: Library, tmp_path: Path) -> None:
    """What no update has changed any more must not decay on paper either."""
    recipe = {"lr": 1e38, "clip": None, "steps": 30, "eval_every": 20, "weight_decay": 1e-39}
    whole, used = (
        trained(tmp_path / name, tiny.train_stage(library, config=SPARSE, numerics={"embeddings": name}, **recipe))
        for name in ("whole", "used")
    )
    assert facts(used)["diverged"] == facts(whole)["diverged"]
    for name, weight in weights(used).items():
        torch.testing.assert_close(weight, weights(whole)[name], rtol=1e-5, atol=0)


def test_another_machine_is_said_on_resuming(library: Library, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        trained(tmp_path, tiny.train_stage(library), stop=tiny.Countdown(3))
    attempt = trained(tmp_path, tiny.train_stage(library, numerics={"micro_tokens": 32}))
    assert attempt.notes["resumed"]["changed"] == {"micro_tokens": [64, 32]}


def test_a_state_is_saved_as_often_as_asked(library: Library, tmp_path: Path) -> None:
    attempt = trained(tmp_path, tiny.train_stage(library, numerics={"save_every": 0.0}))
    state = json.loads((attempt.folder / "resume/state.json").read_text())
    assert state["step"] == 12


@pytest.mark.parametrize("task", [tiny.TOPIC, tiny.TEXT])
def test_the_cut_does_not_change_the_gradient(library: Library, tmp_path: Path, task: Any) -> None:
    def run(budget: int) -> dict[str, torch.Tensor]:
        numerics = {"micro_tokens": budget}
        stage = tiny.train_stage(library, [tiny.entry(library, task)], numerics=numerics, steps=3, dropout=0.0)
        return weights(trained(tmp_path / str(budget), stage))

    whole = run(10_000)
    for budget in (10, 40):
        for name, weight in run(budget).items():
            torch.testing.assert_close(weight, whole[name], rtol=0, atol=2e-6)


def test_same_seed_same_run_other_seed_other_run(library: Library, tmp_path: Path) -> None:
    one, again, other = (
        trained(tmp_path / name, tiny.train_stage(library, seed=seed)) for name, seed in [("a", 0), ("b", 0), ("c", 1)]
    )
    assert same(weights(one), weights(again))
    assert not same(weights(one), weights(other))


def test_initialised_from_an_earlier_stage_with_fresh_heads(library: Library, tmp_path: Path) -> None:
    first = trained(tmp_path, tiny.train_stage(library))
    upstream = {"init": first.stage.id}
    second = trained(tmp_path, tiny.train_stage(library, lr=0.0, upstream=upstream), sources={"init": first.folder})
    before, after = weights(first), weights(second)
    assert all(torch.equal(before[name], after[name]) for name in before if not name.startswith("topic/"))
    assert not torch.equal(before["topic/dense.weight"], after["topic/dense.weight"])
    assert (second.notes["encoder"], second.notes["fresh_heads"]) == (first.stage.id, ["topic"])
    assert first.notes["encoder"] == "random"


def test_pretrained_weights_and_their_language_model_head_are_used(library: Library, tmp_path: Path) -> None:
    """A model with weights in the library starts from them; so does the head of masked language modelling."""
    source = trained(tmp_path, tiny.train_stage(library, [tiny.entry(library, tiny.TEXT)]))
    made = Library(tmp_path / "library")
    shutil.copytree(library.root, made.root)
    state = {f"roberta.{k}": v for k, v in weights(source).items() if "/" not in k}
    state |= {k.replace("text/", "lm_head."): v for k, v in weights(source).items() if "/" in k}
    with made.write_model("tiny", {}, "test") as folder:
        tiny.tokenizer().save_pretrained(folder)
        save_file(state, folder / "model.safetensors")
    attempt = trained(tmp_path, tiny.train_stage(made, [tiny.entry(made, tiny.TEXT)], lr=0.0))
    assert same(weights(source), weights(attempt))
    built = encoder(made, attempt.stage, None)
    assert "lm_head.bias" in built.left


def test_a_model_without_weights_is_the_same_for_every_seed(library: Library, tmp_path: Path) -> None:
    one, two = (trained(tmp_path, tiny.train_stage(library, seed=seed, lr=0.0, steps=1)) for seed in (0, 1))
    for name, weight in weights(one).items():
        assert torch.equal(weight, weights(two)[name]) == (not name.startswith("topic/") or "bias" in name)


def test_best_is_kept_and_patience_ends(library: Library, tmp_path: Path) -> None:
    recipe = {"steps": 80, "eval_every": 2, "checkpoint": "best", "patience": 3, "lr": 1e-2}
    attempt = trained(tmp_path, tiny.train_stage(library, **recipe))
    known = facts(attempt)
    scores = [at["score"] for at in known["history"]]
    best = scores.index(max(scores))
    assert known["step"] == known["history"][best]["step"]
    assert len(scores) == best + 1 + 3
    assert known["history"][-1]["step"] < 80
    last = trained(tmp_path, tiny.train_stage(library, **{**recipe, "checkpoint": "last"}))
    assert facts(last)["history"] == known["history"]
    assert not same(weights(last), weights(attempt))


def test_last_is_the_last(library: Library, tmp_path: Path) -> None:
    known = facts(trained(tmp_path, tiny.train_stage(library)))
    assert known["step"] == 12
    assert [at["step"] for at in known["history"]] == [4, 8, 12]
    assert known["selection"] == known["history"][-1]


def test_selection_once_an_epoch_by_default(library: Library, tmp_path: Path) -> None:
    attempt = trained(tmp_path, tiny.train_stage(library, eval_every=None, epochs=2, steps=None))
    assert [at["step"] for at in facts(attempt)["history"]] == [6, 12]


def test_selection_on_some_items(library: Library) -> None:
    values = tiny.entry(library, tiny.TOPIC)
    stage = tiny.train_stage(library, [values], selection_items=7)
    selection = Entry.read(library, stage, values, tiny.tokenizer()).selection
    assert selection is not None
    chosen = selection.table["id"].to_pylist()
    everything = library.read("topic", "en/selection")["id"].to_pylist()
    assert len(chosen) == len(selection.features) == 7
    fewer = Entry.read(library, tiny.train_stage(library, [values], selection_items=5), values, tiny.tokenizer())
    assert fewer.selection is not None
    assert len(fewer.selection.features) == 5, "features are kept for each number of items"
    assert chosen == [name for name in everything if name in chosen]
    assert chosen != everything[:7]


def test_a_collapsed_run_is_flagged(library: Library, tmp_path: Path) -> None:
    """With such a rate every item gets the same label, whatever its text."""
    attempt = trained(tmp_path, tiny.train_stage(library, lr=30.0, clip=None, dropout=0.0))
    assert facts(attempt)["collapsed"] == {"topic": True}
    assert attempt.notes["collapsed"] is True
    assert attempt.notes["diverged"] is False


def test_a_diverged_run_is_flagged_and_leaves_its_last_finite_weights(library: Library, tmp_path: Path) -> None:
    attempt = trained(tmp_path, tiny.train_stage(library, lr=1e38, clip=None, steps=30, eval_every=20))
    assert attempt.notes["diverged"] is True
    assert 1 < facts(attempt)["diverged"] <= 10
    assert lines(attempt)[-1]["step"] == 10  # seen at the next look at the numbers, and no step after it
    assert all(weight.isfinite().all() for weight in weights(attempt).values())


def test_metrics_of_several_entries(library: Library, tmp_path: Path) -> None:
    attempt = trained(tmp_path, tiny.train_stage(library, mixed(library), steps=20, sampler="uniform"))
    logged = [line for line in lines(attempt) if "loss" in line]
    assert [line["step"] for line in logged] == [10, 20]
    assert set(logged[0]) == {
        *("step", "lr", "tokens", "loss", "grad_norm"),
        *("loss/topic", "loss/text", "loss/questions"),
    }
    selected = next(line for line in lines(attempt) if "selection" in line)
    parts = [value for name, value in selected.items() if name.startswith("selection/")]
    assert selected["selection"] == pytest.approx(sum(parts) / 3)
    assert set(facts(attempt)["heads"]) == {"topic", "text", "questions"}


def test_several_parts_under_one_head(library: Library, tmp_path: Path) -> None:
    values = tiny.entry(library, tiny.TOPIC)
    values["train"] = [tiny.source(library, tiny.TOPIC, part) for part in ("en/train", "en/dev")]
    attempt = trained(tmp_path, tiny.train_stage(library, [values], epochs=1, steps=None, batch_size=1))
    assert facts(attempt)["steps"] == 58


def test_bf16(library: Library, tmp_path: Path) -> None:
    attempt = trained(tmp_path, tiny.train_stage(library, precision="bf16"))
    exact = trained(tmp_path, tiny.train_stage(library))
    assert all(weight.dtype == torch.float32 for weight in weights(attempt).values())
    assert losses(attempt)[0] == pytest.approx(losses(exact)[0], rel=0.02)
    assert losses(attempt)[0] != losses(exact)[0]


def test_a_newer_attempt_fences_the_older_off(library: Library, tmp_path: Path) -> None:
    stage = tiny.train_stage(library)
    old = tiny.attempt(tmp_path, stage)
    tiny.attempt(tmp_path, stage)
    with pytest.raises(Fenced):
        train.run(old)
    assert not (old.folder / "checkpoint").exists()


def test_what_cannot_work_is_refused(library: Library, tmp_path: Path) -> None:
    def refused(stage: Stage, match: str) -> None:
        with pytest.raises(UserError, match=match):
            trained(tmp_path, stage)

    unselected = [tiny.entry(library, tiny.TOPIC, selection=False)]
    refused(tiny.train_stage(library, unselected, checkpoint="best"), "topic has no selection set")
    refused(tiny.train_stage(library, unselected, patience=2), "patience=null")
    refused(tiny.train_stage(library, max_length=50), "32 positions")
    refused(tiny.train_stage(library, config={"vocab_size": 50}), r"60 ids .* 50 rows")
    if not torch.cuda.is_available():
        refused(tiny.train_stage(library, numerics={"device": "cuda"}), "no CUDA device")
    bad = tiny.entry(library, tiny.TOPIC)
    bad["task"]["metric"] = "acuracy"
    refused(tiny.train_stage(library, [bad]), "did you mean 'accuracy'")


def test_a_library_that_changed_since_planning_is_refused(library: Library, tmp_path: Path) -> None:
    made = Library(tmp_path / "library")
    shutil.copytree(library.root, made.root)
    stage = tiny.train_stage(made)
    made.write(tiny.TOPIC, "en/train", made.read("topic", "en/train").slice(1))
    made.finish(tiny.TOPIC, {}, "test", complete=True)
    with pytest.raises(UserError, match=r"topic en/train .* filled anew"):
        trained(tmp_path, stage)
