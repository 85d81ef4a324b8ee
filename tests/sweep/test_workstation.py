"""Real commands on one machine: at once, killed at random, cancelled, failing; nothing is done twice or left behind."""

from __future__ import annotations

import random
import resource
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load_file, save_file

from launching import (
    FIRST,
    GRID,
    Launch,
    attempts,
    copy,
    here,
    launch,
    library,
    log,
    process,
    record,
    results,
    stage,
    until,
)
from xstilts.store import Store

PRETRAIN = "xl > toy_pretrain"
ENDLESS = [*FIRST, "recipe.pretrain.steps=1000000"]
KILLS = 3


def cpu() -> float:
    """Seconds of computing that this process has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_what_is_done_is_not_done_again(reference: Path) -> None:
    """The fixture ran a part of the grid first, and then all of it."""
    assert "1 cell, 2 stages, 2 to run" in (reference / "first.txt").read_text()
    assert "4 cells, 7 stages, 5 to run" in (reference / "second.txt").read_text()
    assert set(attempts(reference).values()) == {1}


@pytest.mark.slow
def test_three_at_once_do_each_stage_once(reference: Path, tmp_path: Path) -> None:
    """From nothing: they fill the library, run the stages and write the results side by side."""
    store = tmp_path / "store"
    going = [Launch(store, *GRID) for _ in range(3)]
    ends = [one.wait() for one in going]
    assert [code for code, _ in ends] == [0, 0, 0], ends
    assert attempts(store) == dict.fromkeys(attempts(reference), 1)
    tables = {text[text.index(" world=toy") :] for _, text in ends}
    assert len(tables) == 1
    assert results(store) == results(reference)
    assert any("waiting for" in text for _, text in ends)
    assert sum(text.count("(by another process)") for _, text in ends) >= 2 * 7 - sum(
        text.count("nothing to do") * 7 for _, text in ends
    )

    before = cpu()
    code, text = launch(store, *GRID)
    assert cpu() - before < 7, "CPU seconds, which a busy neighbour stretches; idle it is below 5 by the clock"
    assert code == 0
    assert "nothing to do: all 7 stages of sweep" in text
    assert text[text.index(" world=toy") :] in tables


def entries(store: Path) -> int:
    return len(list(store.glob("stages/**/*")))


@pytest.mark.slow
def test_killed_at_random_moments(reference: Path, tmp_path: Path) -> None:
    """kill -9 of the driver, of its workers, of all: only the same command again is needed."""
    dice = random.Random(20)
    store = library(reference, tmp_path / "store")
    whole = entries(reference)
    for _ in range(KILLS):
        going = Launch(store, *GRID, workers=2)
        # Not by the clock, since machines differ: when a random share of what is still missing is there.
        moment = entries(store) + dice.random() * (whole - entries(store))
        until(lambda end=moment, one=going: entries(store) >= end or one.process.poll() is not None, "a moment")
        victims = dice.choice([[psutil.Process(going.pid)], going.workers(), going.processes()])
        for victim in victims:
            process(victim.pid, lambda p: p.kill())
        going.wait()  # says when somebody is left behind
    code, text = launch(store, *GRID)
    assert code == 0, text
    assert results(store) == results(reference)
    assert here(store, "do=clean") == 0
    assert not list(store.glob("stages/**/.*"))
    assert all(f.published for f in Store(store).stages())
    assert here(store, "do=report") == 0
    assert results(store) == results(reference)


def test_a_worker_that_dies_is_replaced_and_then_given_up(reference: Path, tmp_path: Path) -> None:
    store = library(reference, tmp_path / "store")
    going = Launch(store, *ENDLESS, "hydra.launcher.tries=1")
    for number in (1, 2):
        going.until(lambda n=number: list(store.glob(f"stages/train-*/attempts/{n}/record.json")), "an attempt")
        process(record(stage(store, PRETRAIN).attempts()[-1])["pid"], lambda p: p.kill())
    code, text = going.wait()
    assert code == 1
    assert f"{PRETRAIN}: its process was killed (SIGKILL; out of memory?); started again" in text
    assert f"failed  {PRETRAIN}: its process was killed (SIGKILL; out of memory?)\n" in text
    assert "1 failed, 1 blocked by them" in text


@pytest.mark.slow
def test_cancel_stops_one_sweep_and_another_takes_over(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = library(reference, tmp_path / "store")
    one = Launch(store, *ENDLESS, "sweep=one")
    one.until(lambda: list(store.glob("stages/train-*/attempts/1/progress.json")), "one is training")
    two = Launch(store, *ENDLESS, "sweep=two")
    two.reads(f"waiting for {PRETRAIN}: ")
    assert here(store, "do=cancel", "sweep=one") == 0
    assert "to save the running stages of sweep one and stop" in capsys.readouterr().out
    code, text = one.wait()
    assert code == 130
    assert "asked to stop: the running stages save their state" in text

    two.until(lambda: list(store.glob("stages/train-*/attempts/2/progress.json")), "two has taken over")
    assert here(store, "do=status", "sweep=one") == 0
    assert "1 running" in capsys.readouterr().out, "whoever runs it"
    assert here(store, "do=cancel", "sweep=two") == 0
    code, text = two.wait()
    assert code == 130
    assert text.count("waiting for") == 1
    assert "resumed after step" in log(store, PRETRAIN, 2)

    capsys.readouterr()
    assert here(store, "do=cancel", "sweep=two") == 0
    assert "nothing is running for sweep two" in capsys.readouterr().out
    assert here(store, "do=status", "sweep=two") == 0
    assert "1 interrupted, 1 waiting of 2 stages" in capsys.readouterr().out


@pytest.mark.slow
def test_failures_are_named_and_the_rest_goes_on(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint cut short, one of another vocabulary, a damaged data file; then all of them mended."""
    store = library(reference, tmp_path / "store")
    code, text = launch(store, *FIRST, "seed=0,1", "keep=all")
    assert code == 0, text
    paths = []
    for seed in (0, 1):
        done = stage(store, PRETRAIN, seed).published
        assert done is not None
        paths.append(done / "checkpoint/model.safetensors")
    paths.append(store / "library/toy/data/xnli/en/test.parquet")
    cut, other, data = paths
    whole = [path.read_bytes() for path in paths]
    cut.write_bytes(whole[0][:-100])
    weights = load_file(other)
    name = next(name for name in weights if "word_embeddings" in name)
    save_file({**weights, name: weights[name][:-7].clone()}, other)
    data.write_bytes(whole[2][:-100])

    line = [*FIRST[:2], "target=xnli,tatoeba", "seed=0,1,2", "sweep=broken", "keep=all"]
    code, text = launch(store, *line, workers=2)
    assert code == 1
    assert "Traceback" not in text
    end = text[text.index("3 failed, 2 blocked by them") :]
    plain = " ".join(end.split())
    broken = [(f"{PRETRAIN} > mnli", 0), (f"{PRETRAIN} > mnli", 1), (f"{PRETRAIN} > mnli : xnli", 2)]
    for label, seed in broken:
        path = stage(store, label, seed).attempts()[-1] / "log.txt"
        assert f"failed  {label}: " in text
        assert f"log of {label}: {path}\n" in end
        assert "Traceback" not in path.read_text()
    for why in ("cannot be read as safetensors", "does not fit the model's config", "is not whole Parquet"):
        assert why in plain
    assert "Missing: 3 of 6 cells are not done" in text
    assert stage(store, f"{PRETRAIN} : tatoeba", 2).published, "an unrelated branch goes on"

    assert here(store, "do=status", "sweep=broken") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 failed, 2 blocked of 12 stages" in said
    assert "does not fit the model's config" in said

    for path, content in zip(paths, whole, strict=True):
        path.write_bytes(content)
    assert here(store, "do=retry", "sweep=broken") == 0
    said = capsys.readouterr().out
    assert "12 stages, 5 to run" in said
    assert "Missing" not in said
    counts = {folder.root.name: len(folder.attempts()) for folder in Store(store).stages()}
    assert {name for name, count in counts.items() if count > 1} == {stage(store, *one).root.name for one in broken}
    own = [row for row in results(reference) if ",none," in row]
    assert own
    assert set(own) <= set(results(store)), "as if nothing had happened"


def test_a_copy_of_a_store_is_a_store(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that decides a result is a path."""
    store = copy(reference, tmp_path / "moved")
    assert here(store, *GRID) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert results(store) == results(reference)
