"""What a training leaves: its checkpoint, and on the way there the state it resumes from. Safetensors and JSON only.

checkpoint/   model.safetensors   the encoder, in Hugging Face's own names
              heads.safetensors   ENTRY/NAME
              checkpoint.json     which step it is of, how it was selected, what its heads are
resume/       the weights of the step it was saved at, optimizer.safetensors (MOMENT/PARAMETER), state.json,
              metrics.jsonl up to there, and best/ with the weights selected so far, where the recipe selects
              of sharded weights: shard-R-of-N/ with the tensors of all these, in each what rank R held of them
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import nn

from xstilts import files
from xstilts.errors import DataError
from xstilts.model import weights
from xstilts.model.embeddings import Embeddings
from xstilts.model.encoder import Encoder
from xstilts.model.parallel import Group
from xstilts.model.shards import Shards, local
from xstilts.model.weights import Rows

T = TypeVar("T")
Tensors = dict[str, torch.Tensor]


@dataclass
class Weights:
    """Of the encoder, by Hugging Face's names, and of the heads, by `entry/name`."""

    encoder: Tensors
    heads: Tensors

    def copy(self) -> Weights:
        """A copy in main memory."""
        return Weights(_copy(self.encoder), _copy(self.heads))

    def save(self, folder: Path) -> None:
        _save(self.encoder, folder / "model.safetensors")
        _save(self.heads, folder / "heads.safetensors")

    def joined(self, group: Group) -> Weights:
        """Whole, from the rows of all ranks: in the first one's main memory. Others get nothing of use."""
        return Weights(_joined(self.encoder, group), _joined(self.heads, group))

    @classmethod
    def read(cls, folders: Sequence[Path], rows: Rows) -> Weights:
        """The wanted rows of what is saved in shares, one a folder."""
        files = ("model.safetensors", "heads.safetensors")
        return cls(*(dict(weights.rows([folder / name for folder in folders], rows)) for name in files))


class Trained(nn.Module):
    """An encoder and the heads on it, as one module; whole on every rank, or after `shard` a share on each."""

    def __init__(self, encoder: Encoder, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(heads)
        self.shards: Shards | None = None
        self.rows = Rows()  # of every tensor, what `own` and `weights` have

    def shard(self, device: torch.device, group: Group) -> None:
        """Keep this rank's share alone, on a device; see `xstilts.model.shards`."""
        blocks = self.encoder.model.get_submodule(self.encoder.adapter.blocks)
        assert isinstance(blocks, nn.ModuleList)
        if isinstance(table := self.encoder.embeddings, Embeddings):
            table.in_place = False
        self.shards, self.rows = Shards(self, blocks, device, group), Rows(group.rank, group.size)

    @property
    def sharded(self) -> bool:
        return self.shards is not None

    def forward(self, entry: str, work: Callable[[Encoder, nn.Module], T]) -> T:
        """What `work` makes of the encoder and an entry's head, whose weights may be whole only inside of it."""
        return work(self.encoder, self.heads[entry])

    @property
    def own(self) -> dict[str, nn.Parameter]:
        """What this rank updates, by name."""
        return dict(self.named_parameters()) if self.shards is None else self.shards.own

    def weights(self) -> Weights:
        """Of this rank. Shared with the module, not copied."""
        heads = {f"{entry}/{name}": w for entry, head in self.heads.items() for name, w in head.state_dict().items()}
        return Weights(_local(self.encoder.model.state_dict()), _local(heads))


def load_head(head: nn.Module, entry: str, folder: Path) -> None:
    """Fill a head from a checkpoint; `DataError` when it has none of that name or shape."""
    weights.fill(head, folder / "heads.safetensors", f"{entry}/")


def save(path: Path, kept: Weights, facts: Mapping[str, Any]) -> None:
    """A checkpoint folder at `path`, whole or not at all."""
    with files.folder(path) as folder:
        kept.save(folder)
        files.write_json(folder / "checkpoint.json", facts)


def read_facts(folder: Path) -> dict[str, Any]:
    """`checkpoint.json` of a checkpoint folder."""
    return _read_json(folder / "checkpoint.json")


def save_state(
    path: Path,
    trained: Trained,
    optimizer: torch.optim.Optimizer,
    best: Weights | None,
    state: Mapping[str, Any],
    metrics: Path,
    group: Group,
) -> None:
    """Everything a training needs to go on as if nothing had happened, in a folder at `path`, whole or not at all.

    All ranks call this. The first one writes; of sharded weights every one its share, all at once, so that nobody needs
    memory for more.
    """
    if not (group.first or trained.sharded):
        return
    with files.folder(path) if group.first else nullcontext(path) as folder:
        if trained.sharded:
            own = Path(group.tell(str(folder))) / f"shard-{group.rank}-of-{group.size}"
            _save_share(own, trained, optimizer, best)
            files.settle(own)
            group.total(1)  # all are there
        else:
            _save_share(folder, trained, optimizer, best)
        if group.first:
            shutil.copyfile(metrics, folder / "metrics.jsonl")
            files.write_json(folder / "state.json", state)


def _save_share(folder: Path, trained: Trained, optimizer: torch.optim.Optimizer, best: Weights | None) -> None:
    folder.mkdir(exist_ok=True)
    trained.weights().save(folder)
    _save(_moments(trained, optimizer), folder / "optimizer.safetensors")
    if best is not None:
        (folder / "best").mkdir()
        best.save(folder / "best")


def read_state(folder: Path) -> dict[str, Any]:
    """The `state` that `save_state` was given."""
    return _read_json(folder / "state.json")


def load_state(folder: Path, trained: Trained, optimizer: torch.optim.Optimizer) -> Weights | None:
    """The rest of what `save_state` was given: fills model and optimiser, returns the best weights.

    Whatever number of ranks saved it, and whether they had shares: each reads the rows that it has. Raises `DataError`
    when a file of it cannot be read, or is of another model.
    """
    shares = _shares(folder)
    own = trained.weights()
    _fill(own.encoder, [share / "model.safetensors" for share in shares], trained.rows)
    _fill(own.heads, [share / "heads.safetensors" for share in shares], trained.rows)
    parameters = trained.own
    for key, value in weights.rows([share / "optimizer.safetensors" for share in shares], trained.rows):
        moment, name = key.split("/", 1)
        optimizer.state[parameters[name]][moment] = value.to(parameters[name].device)
    if not (shares[0] / "best").is_dir():
        return None
    return Weights.read([share / "best" for share in shares], trained.rows)


def _shares(folder: Path) -> list[Path]:
    """Where the tensors of a state are."""
    found = next(folder.glob("shard-0-of-*"), None)
    if found is None:
        return [folder]
    size = int(found.name.rpartition("-")[2])
    return [folder / f"shard-{rank}-of-{size}" for rank in range(size)]


@torch.no_grad()
def _fill(own: Tensors, paths: Sequence[Path], rows: Rows) -> None:
    stored = set()
    for name, values in weights.rows(paths, rows):
        if name not in own or own[name].shape != values.shape:
            raise DataError(paths[0], f"{name} does not fit this training: delete its folder to begin anew")
        own[name].copy_(values)
        stored.add(name)
    if missing := own.keys() - stored:
        raise DataError(paths[0], f"lacks {', '.join(sorted(missing))}: delete its folder to begin anew")


def _moments(trained: Trained, optimizer: torch.optim.Optimizer) -> Tensors:
    """The optimiser's state by `moment/parameter`; parameters that had no gradient yet have none."""
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in trained.own.items()}
    return {
        f"{moment}/{names[parameter]}": value
        for parameter, moments in optimizer.state.items()
        for moment, value in moments.items()
    }


def _local(tensors: Tensors) -> Tensors:
    return {name: local(tensor) for name, tensor in tensors.items()}


def _joined(tensors: Tensors, group: Group) -> Tensors:
    rows = group.total(*(len(tensor) for tensor in tensors.values()))
    return {n: group.gather(t.cpu(), r) for (n, t), r in zip(tensors.items(), rows, strict=True)}


def _copy(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def _save(tensors: Tensors, path: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return files.read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read ({error}); restore it") from None
