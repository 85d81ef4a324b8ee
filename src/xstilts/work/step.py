"""The gradient of a step: its units in micro-batches, whose summed gradients do not depend on the cut."""

from __future__ import annotations

import numpy as np
import torch

from xstilts.data.batches import Batch
from xstilts.work import share
from xstilts.work.entries import Entry
from xstilts.work.setting import Setting


def gradients(setting: Setting, entry: Entry, units: np.ndarray, step: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Leave the gradient of the summed loss of a step's units in the weights.

    Gives that loss and the number of terms in it, two scalars of all ranks on the device, and the tokens that this rank
    read.
    """
    group, trained = setting.group, setting.trained
    apart = entry.form.whole_batch and group.size > 1
    torch.manual_seed(setting.mixture.dropout_seed(step, group.rank))
    loss = terms = torch.zeros((), device=setting.machine.device)
    tokens = 0
    for cut in share.cuts(entry.form, entry.features, units, setting.machine.budget, group):
        batch = setting.batch(entry, cut, step)
        tokens += len(batch.tokens)
        whole = setting.batch(entry, share.order(units, group), step) if apart else None
        part, count = _loss(setting, entry, batch, whole)
        part.backward()
        if apart and not group.first:  # all have the whole loss and the head's whole gradient: they count once
            trained.heads[entry.name].zero_grad(set_to_none=True)
            continue
        loss, terms = loss + part.detach(), terms + count
    return *group.add_up(trained.parameters(), loss, terms), tokens


def _loss(setting: Setting, entry: Entry, batch: Batch, whole: Batch | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed loss and terms of a micro-batch or, where its loss needs all ranks' (`whole`), of all of them."""
    form, trained = entry.form, setting.trained
    with setting.machine.autocast():
        hidden = trained.encoder(batch.tokens, batch.starts, lengths=batch.lengths, firsts=form.reads_firsts)
        if whole is not None:
            batch, hidden = whole, share.together(form, batch, hidden, whole, setting.group)
        return form.loss(trained.heads[entry.name], hidden, batch)
