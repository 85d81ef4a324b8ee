"""Which learning rate is best a (model, format): `python -m xstilts.results.tuned STORE SWEEP`.

The sweep is one like experiment=tune: no intermediate task, several learning rates. A training's score is that on its
English selection set, at the checkpoint that was kept; no result on any language takes part. Rates are compared by the
mean over the trainings of a format, all of which must be there at every rate. Prints the section `models` of a recipe.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from xstilts import files
from xstilts.errors import UserError
from xstilts.stage import Stage, digest
from xstilts.store import Store
from xstilts.sweep import sweeps

Scores = dict[float, dict[str, float]]  # learning rate -> training, whatever its rate -> score in percent


def tuned(store: Store, name: str) -> dict[str, dict[str, dict[str, float]]]:
    """Model -> format -> {lr: the best}; the smaller rate where two are equal."""
    found: dict[tuple[str, str], Scores] = defaultdict(lambda: defaultdict(dict))
    for stage in _trainings(store, name):
        (format,) = {entry["task"]["format"] for entry in stage.spec["mixture"]}  # of a target: it has one entry
        rest = {**stage.spec, "recipe": {**stage.spec["recipe"], "lr": None}}
        found[stage.about["model"], format][stage.spec["recipe"]["lr"]][digest(rest)] = _score(store, stage)
    chosen: dict[str, dict[str, dict[str, float]]] = {}
    for (model, format), scores in sorted(found.items()):
        trainings = {one for own in scores.values() for one in own}
        if any(set(own) != trainings for own in scores.values()):
            raise UserError(f"sweep={name}: not every training of model={model} on {format} was done at every rate")
        best = max(sorted(scores), key=lambda lr: fmean(scores[lr].values()))
        chosen.setdefault(model, {})[format] = {"lr": best}
    return chosen


def _trainings(store: Store, name: str) -> list[Stage]:
    """The trainings of a sweep's targets: all but those that pretrain a toy model."""
    sweep = sweeps.load(store, name)
    wrong = sorted({cell["inter"] for cell in sweep.cells} - {"none"})
    if wrong:
        raise UserError(f"sweep={name} has inter={','.join(wrong)}: rates are chosen without an intermediate task")
    stages = [Stage.load(store.folder(id).spec) for id, own in sweep.stages.items() if own["kind"] == "train"]
    return [stage for stage in stages if stage.spec["mixture"][0]["task"]["format"] != "mlm"]


def _score(store: Store, stage: Stage) -> float:
    done = store.folder(stage.id).published
    if done is None:
        raise UserError(f"{stage.label} is not done: do=retry does what a sweep lacks")
    notes: dict[str, Any] = files.read_json(done / "record.json")["notes"]
    if notes.get("selection") is None:
        raise UserError(f"{stage.label} was not scored on a selection set: rates are compared with checkpoint=best")
    return float(notes["selection"])


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2:
        print("usage: python -m xstilts.results.tuned STORE SWEEP", file=sys.stderr)
        return 2
    try:
        print(
            yaml.safe_dump({"models": tuned(Store(Path(arguments[0])), arguments[1])}, default_flow_style=None), end=""
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
