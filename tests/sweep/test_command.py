"""The verbs on a store that is done: nothing again, what is lost once more, what nobody needs deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from launching import FIRST, GRID, attempts, copy, here, results, scores, stage
from xstilts import files, owner
from xstilts.stage import Stage
from xstilts.store import Store
from xstilts.sweep import sweeps

TRAINED = ("xl > toy_pretrain", "xl > toy_pretrain > mnli", "xl > toy_pretrain > mnli > mnli")
XNLI = "xl > toy_pretrain > mnli > mnli : xnli"
Said = pytest.CaptureFixture[str]


@pytest.fixture
def store(reference: Path, tmp_path: Path) -> Path:
    return copy(reference, tmp_path / "store")


def weights(store: Path) -> list[str]:
    """Of which trainings there are weights."""
    return [label for label in TRAINED if list(stage(store, label).root.glob("attempts/*/checkpoint"))]


def test_deleted_weights_are_made_again_when_somebody_needs_them(store: Path, reference: Path, capsys: Said) -> None:
    assert weights(store) == [*TRAINED]
    assert here(store, *GRID, "keep=inter", "sweep=again") == 0
    assert "nothing to do: all 7 stages of sweep again are done" in capsys.readouterr().out
    assert weights(store) == [*TRAINED], "the sweeps before it were asked to keep all"
    for name in sweeps.names(Store(store)):
        assert here(store, "do=retry", f"sweep={name}", "keep=inter") == 0
    assert weights(store) == [*TRAINED[:2]], "those that other trainings start from"
    capsys.readouterr()
    assert here(store, *GRID, "keep=scores", "sweep=again") == 0
    assert weights(store) == []
    assert here(store, *GRID, "keep=scores", "sweep=again") == 0
    assert "nothing to do" in capsys.readouterr().out, "scores are what counts"

    files.remove(stage(store, XNLI).root)
    assert here(store, "do=retry", "sweep=again") == 0
    assert "7 stages, 4 to run" in capsys.readouterr().out
    assert attempts(store) == {**attempts(reference), **dict.fromkeys(TRAINED, 2)}
    assert scores(store, XNLI) == scores(reference, XNLI)
    assert results(store) == results(reference)
    assert weights(store) == []


def test_retry_takes_a_sweep_as_it_was_typed(store: Path, capsys: Said) -> None:
    line = ["experiment=demo", *GRID, "sweep=named"]
    assert here(store, *line) == 0
    assert "nothing to do: all 7 stages of sweep named" in capsys.readouterr().out
    assert here(store, "do=retry", "sweep=named") == 0
    assert "nothing to do: all 7 stages of sweep named" in capsys.readouterr().out
    assert here(store, "do=retry") == 2
    assert "do=retry needs sweep=NAME" in capsys.readouterr().err
    assert here(store, "do=retry", "sweep=nmaed") == 2
    assert "did you mean 'named'?" in capsys.readouterr().err
    assert here(store, "do=retry", "sweep=named", "seed=3") == 2
    assert "runs sweep named as it was typed" in capsys.readouterr().err
    assert here(store, "do=retry", "sweep=named", "numerics.save_every=5") == 0


def test_clean_removes_what_nobody_needs_and_nothing_else(store: Path, reference: Path, capsys: Said) -> None:
    done, other = stage(store, TRAINED[0]).root, stage(store, TRAINED[1])
    for name in ("attempts/2/resume", "attempts/1/.checkpoint.12345678.tmp", "attempts/1/.checkpoint.old"):
        (done / name).mkdir(parents=True)
    claim = Store(store).claim(Stage.load(other.spec), owner.process(), owner.alive)
    assert claim is not None
    (other.root / "attempts/2").mkdir()
    unfinished = store / "stages/train-0000000000000000"
    for number in "123":
        (unfinished / f"attempts/{number}/resume").mkdir(parents=True)

    assert here(store, "do=clean", "keep=all") == 0
    said = capsys.readouterr().out
    assert "removed 5 leftovers" in said
    assert f"{done}/attempts/2\n" in said
    assert (other.root / "attempts/2").is_dir(), "somebody works on it"
    assert [p.parent.name for p in sorted(unfinished.glob("attempts/*/resume"))] == ["3"], "the newest state"
    assert not list(done.rglob(".*"))
    assert weights(store) == [*TRAINED]
    assert here(store, "do=report") == 0
    assert results(store) == results(reference)


def test_the_other_verbs(store: Path, capsys: Said) -> None:
    assert here(store / "typo", "do=report") == 2
    assert f"there is no store {store / 'typo'}" in capsys.readouterr().err
    assert here(store, *GRID, "do=fetch") == 0
    assert f"the library {store / 'library/toy'} holds 4 tasks and 1 models" in capsys.readouterr().out
    assert here(store, *FIRST, "sweep=one") == 0
    assert here(store, "do=status", "sweep=one") == 0
    assert "2 done of 2 stages" in capsys.readouterr().out
    assert here(store, "do=cancel", "sweep=one") == 0
    assert "nothing is running for sweep one" in capsys.readouterr().out
    assert here(store, *GRID, "do=rerun") == 2
    assert "do=rerun takes one cell, and this is 2" in capsys.readouterr().err
    assert here(store, *FIRST, "do=rerun", "seed=8") == 2
    assert "is not done yet: there is nothing to compare with" in capsys.readouterr().err
