"""The gradient of a step: its units in micro-batches, whose summed gradients do not depend on the cut."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import nn

from xstilts.data.batches import Batch
from xstilts.formats.base import Format
from xstilts.model.encoder import Encoder
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
    for cut, counts in share.passes(
        entry.form, entry.features, units, setting.machine.budget, group, even=trained.sharded
    ):
        batch = setting.batch(entry, cut, step)
        whole = setting.batch(entry, share.order(units, group), step) if apart else None
        part, count = trained(entry.name, partial(_loss, setting, entry.form, batch, whole))
        if not counts:
            (part * 0).backward()
            continue
        (part / group.size if apart else part).backward()
        tokens += len(batch.tokens)
        if group.first or not apart:  # who are apart have the same loss, that of all
            loss, terms = loss + part.detach(), terms + count
    if trained.shards is not None:
        trained.shards.take_gradients()
    else:
        group.add_gradients(trained.parameters())
    return *group.add_up(loss, terms), tokens


def _loss(
    setting: Setting, form: Format, batch: Batch, whole: Batch | None, encoder: Encoder, head: nn.Module
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed loss and terms of a micro-batch or, where its loss needs all ranks' (`whole`), of all of them."""
    with setting.machine.autocast():
        hidden = encoder(batch.tokens, batch.starts, lengths=batch.lengths, firsts=form.reads_firsts)
        if whole is not None:
            batch, hidden = whole, share.together(form, batch, hidden, whole, setting.group)
        return form.loss(head, hidden, batch)
