"""Where a training is, and how it goes on from where an earlier attempt left it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xstilts import files
from xstilts.errors import UserError
from xstilts.work import checkpoint
from xstilts.work.attempt import Attempt
from xstilts.work.checkpoint import Trained, Weights
from xstilts.work.metrics import Metrics, Step, read


@dataclass
class State:
    """Where a training is, beside its weights and moments. Everything else follows from the seed and the step."""

    step: int = 0  # steps done
    tokens: int = 0  # read by the encoder in training, without padding
    seconds: float = 0.0  # of training, in this and earlier attempts
    history: list[dict[str, Any]] = field(default_factory=list)  # every evaluation: step, score, entries
    diverged: int | None = None  # the first step, from 1, with a gradient that was not finite
    window: list[Step] = field(default_factory=list)  # steps that are not logged yet
    numerics: dict[str, Any] = field(default_factory=dict)  # of the attempt that saved it

    @property
    def best(self) -> int | None:
        """The evaluation with the highest score, the first of equals; None while none has one."""
        scored = [i for i, at in enumerate(self.history) if at["score"] is not None]
        return max(scored, key=lambda i: self.history[i]["score"], default=None)

    def read_window(self) -> None:
        """Fetch losses and norms from the device, and see whether all were finite."""
        self.window = read(self.window)
        norms = np.array([norm for *_, norm in self.window])
        if self.diverged is None and not np.isfinite(norms).all():
            self.diverged = self.step - len(norms) + int(np.isfinite(norms).argmin()) + 1

    def over(self, steps: int, patience: int | None) -> bool:
        """Whether all is done, nothing can be learnt any more, or nothing was for too many evaluations."""
        since = len(self.history) - 1 - (-1 if self.best is None else self.best)
        return self.step >= steps or self.diverged is not None or (patience is not None and since >= patience)


def _newest(attempt: Attempt) -> Path | None:
    """The resume state of an earlier attempt to go on from."""
    found = None
    if attempt.group.first:
        found = next(filter(None, (files.recover(folder / "resume") for folder in attempt.earlier)), None)
    told = attempt.group.tell(str(found) if found else None)
    return Path(told) if told else None


def resume(
    attempt: Attempt, trained: Trained, adamw: torch.optim.AdamW, facts: dict[str, Any]
) -> tuple[State, Weights | None, Metrics]:
    """The newest state of an earlier attempt, loaded into model and optimiser, or the state before the first step.

    `facts` are the numerics of this attempt. A difference is said and recorded; the result may then differ in its last
    digits. Another number of trained embeddings is refused: their decay so far would be lost. All ranks load the state
    that the first one finds: all of it, or where weights are sharded their rows.
    """
    group = attempt.group
    path = attempt.folder / "metrics.jsonl" if group.first else Path(os.devnull)
    attempt.note(machine=facts)
    found = _newest(attempt)
    if found is None:
        return State(numerics=facts), None, Metrics(path)
    state = State(**checkpoint.read_state(found))
    before = state.numerics
    changed = {k: [before.get(k), facts.get(k)] for k in before | facts if before.get(k) != facts.get(k)}
    if "embeddings" in changed:
        was, now = changed["embeddings"]
        raise UserError(
            f"{found} is of a training of {was or 'all'} embeddings, and this one would train {now}: resume it with "
            f"numerics.embeddings as it was then, or delete {found} to begin anew"
        )
    best = checkpoint.load_state(found, trained, adamw)
    print(f"resumed after step {state.step} from {found}" + (f"; numerics changed: {changed}" if changed else ""))
    attempt.note(resumed={"attempt": found.parent.name, "step": state.step, "changed": changed})
    state.numerics = facts
    if not group.first:
        return state, best if trained.sharded else None, Metrics(path)
    return state, best, Metrics(path, found / "metrics.jsonl")
