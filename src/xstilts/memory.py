"""How much memory a stage takes at its peak, in bytes, from its configuration alone: no torch here.

What is counted is what autograd saves of the stock Hugging Face blocks with our unpadded attention; each term was read
off their source (transformers 5, torch 2.13) and `tests/test_memory.py` holds the sums against a tracker of every
tensor of real steps. With P trained parameters, T tokens at once, L layers of width H, inner width F and A heads:

- weights 4P, gradients 4P, two AdamW moments 8P, in float32. Of the embedding table only the trained rows count
  (`xstilts.model.vocabulary`); how many is known when the data is tokenized, and until then the whole table is the
  bound.
- bf16: autocast casts each matrix once a forward pass, and autograd keeps the copy for the backward pass: 2 bytes a
  matrix element, whole on every GPU even where the weights are sharded.
- activations: see `_block`. Attention on CUDA in bf16 is the flash kernel, which saves no probabilities (Dao 2023); on
  a CPU, dropout leaves only the plain one, which saves three numbers a pair of tokens and head.
- the loss of masked language modelling: four-byte logits of the whole vocabulary, three times (softmax, and two steps
  of its backward pass), for the tokens that are predicted.
- on a CPU the gradient of a cut embedding table stays from step to step (`xstilts.model.embeddings`).
- shards: FSDP2 gives each GPU its part of weights, gradients and moments, and gathers a block and the next one, and
  what is in no block, while they are needed (Zhao et al. 2023). Not tracked, unlike all else here.

The peak is the larger of two moments: the end of the forward pass, where activations are complete, and the end of the
backward pass, where gradients are. Not counted is what only a GPU can tell: its context, the workspaces of cuBLAS and
of the flash kernel's backward pass, fragments of the allocator. `HEADROOM` is left for them; it is not measured yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Formats whose head reads sequences' first tokens: the last block keeps only keys and values of the others.
FIRSTS = frozenset({"classification", "choice", "dual_encoder"})
#: The format that predicts over the whole vocabulary, and whose table therefore trains whole.
VOCABULARY = "mlm"
#: The format that needs all of a step at once, however many tokens these are.
WHOLE_BATCH = "dual_encoder"
PREDICTED = 0.15  # of its tokens, unless the task says otherwise (`mask_rate`)
#: Cells a token, where sequences of similar length are padded to the longest of a group.
PADDED = 1.12
#: Of a device's memory, for what is not counted.
HEADROOM = 0.1
#: Python, torch, transformers, a tokenizer and a stage's data: of a process on a CPU (fitted, benchmarks/RESULTS.md).
PROCESS = 700_000_000
#: Of activations, what malloc keeps on a CPU of those that were freed, where nothing else fits (the same trainings).
KEPT = 0.5
#: Tokens at once, by device: the first one that fits. Measured on a CPU (benchmarks/RESULTS.md), where there is one, so
#: that a result does not depend on how much memory is free; on CUDA not measured yet.
AT_ONCE = {"cpu": (2048,), "cuda": (16384, 8192, 4096, 2048, 1024, 512)}


@dataclass(frozen=True)
class Shape:
    """What of a model memory depends on."""

    parameters: int  # of the encoder
    hidden: int
    layers: int
    heads: int
    inner: int  # of the feed-forward layer
    vocabulary: int
    gated: bool  # a feed-forward layer of two halves, one times the other, as ModernBERT's
    prenorm: bool  # XLM-R XL: no normalisation of the embeddings, no dropout after the feed-forward layer

    @classmethod
    def of(cls, architecture: str, config: Mapping[str, Any], parameters: int) -> Shape:
        return cls(
            parameters,
            int(config["hidden_size"]),
            int(config["num_hidden_layers"]),
            int(config["num_attention_heads"]),
            int(config["intermediate_size"]),
            int(config["vocab_size"]),
            gated=architecture == "modernbert",
            prenorm=architecture != "xlm-roberta",
        )

    @property
    def table(self) -> int:
        """Numbers in the whole embedding table."""
        return self.vocabulary * self.hidden

    @property
    def block(self) -> int:
        """Numbers in the matrices of a block."""
        return 4 * self.hidden**2 + (3 if self.gated else 2) * self.hidden * self.inner


@dataclass(frozen=True)
class Device:
    """Where a stage runs, and in which precision."""

    name: str  # cpu or cuda
    bf16: bool

    @property
    def number(self) -> int:
        """Bytes of a number that a matrix product reads or gives; on a CPU, where some stay float32, the bound."""
        return 2 if self.flash else 4

    @property
    def flash(self) -> bool:
        return self.name == "cuda" and self.bf16


@dataclass(frozen=True)
class Load:
    """What a device reads at once."""

    format: str
    tokens: int
    length: float  # tokens of the sequence that a token is in, on average over tokens
    several: bool = False  # whether a step has more of them, so that gradients are there before they are read
    predicted: float = PREDICTED  # VOCABULARY: the share of tokens


@dataclass(frozen=True)
class Need:
    """Bytes at the peak of a stage, by what they hold."""

    weights: int
    moments: int = 0
    gradients: int = 0
    copies: int = 0  # of weights in bf16
    activations: int = 0
    loss: int = 0
    process: int = 0  # CPU: whatever is no tensor of the model's, and what only lies there

    @property
    def total(self) -> int:
        return sum(vars(self).values())


def training(
    shape: Shape, rows: int, device: Device, load: Load, dropout: float = 0.1, shards: int = 1, best: bool = False
) -> Need:
    """Of a training with so many trained embeddings (`rows`), of which each GPU holds one of `shards` equal parts.

    `best`: whether a copy of the best weights is kept, which is in main memory.
    """
    rest = shape.parameters - shape.table
    table = rows * shape.hidden
    trained = rest + table + _head(shape, load.format)
    weights, moments = -(-4 * trained // shards) + _gathered(shape, table, shards), -(-8 * trained // shards)
    gradients = 4 * trained
    copies, activations, loss = _copies(shape, device, load), _activations(shape, device, load, dropout), 0
    if load.format == VOCABULARY:
        loss = int(12 * load.predicted * load.tokens * shape.vocabulary)
    turning = load.tokens * (shape.inner * device.number + 4 * shape.hidden)  # gradients between two blocks
    stays = _stays(shape, rows, device, shards)
    here = -(-gradients // shards) if load.several else stays
    forward = copies + activations + max(loss, turning) + here
    # The table's gradient comes last and dense: beside the one it is added to, if there is one. The output layer of a
    # language model has another one, and autograd puts the two together in a third.
    backward = -(-gradients // shards) + 4 * table * (load.several * (not stays) + 2 * (load.format == VOCABULARY))
    process = _process(shape, device, extra=(shape.table if rows < shape.vocabulary else 0) + best * trained)
    if device.name == "cpu":
        process += int(KEPT * activations)
    if forward >= backward:
        return Need(weights, moments, here, copies, activations, max(loss, turning), process)
    return Need(weights, moments, backward, process=process)


def evaluating(
    shape: Shape, device: Device, load: Load, rows: int | None = None, moments: int = 0, shards: int = 1
) -> Need:
    """Of an evaluation; of one within a training, which has the trained `rows` of embeddings alone, and moments.

    `shards`: as in `training`.
    """
    table = (shape.vocabulary if rows is None else rows) * shape.hidden
    weights = -(-4 * (shape.parameters - shape.table + table) // shards) + _gathered(shape, table, shards)
    b = device.number
    # The widest moment of a block: three float32 states, what the inner layer reads, and it before and after gelu.
    held = load.tokens * (shape.hidden * (12 + 2 * device.bf16) + (3 if shape.gated else 2) * b * shape.inner)
    loss = int((8 + 2 * device.bf16) * load.predicted * load.tokens * shape.vocabulary) * (load.format == VOCABULARY)
    copies = _copies(shape, device, load)
    gradient = 0 if rows is None else _stays(shape, rows, device, shards)
    if load.format in FIRSTS:  # the last block is not read yet, and takes less
        copies -= 2 * shape.block * device.bf16
    return Need(weights, moments, gradient, copies, held, loss, _process(shape, device))


def _stays(shape: Shape, rows: int, device: Device, shards: int) -> int:
    """Bytes of gradients between steps: on a CPU a cut table's (`xstilts.model.embeddings`)."""
    return 4 * rows * shape.hidden if device.name == "cpu" and rows < shape.vocabulary and shards == 1 else 0


def _gathered(shape: Shape, table: int, shards: int) -> int:
    """Bytes of sharded weights that are whole for a while on every GPU: two blocks, and what is in no block."""
    return 4 * (2 * shape.block + table) if shards > 1 else 0


def _copies(shape: Shape, device: Device, load: Load) -> int:
    """Bytes of weights in bf16."""
    output = shape.table if load.format == VOCABULARY else 0
    return 2 * (shape.layers * shape.block + output) * device.bf16


def _head(shape: Shape, form: str) -> int:
    """Parameters of a head: one square matrix, but for those that are a few rows."""
    return shape.hidden**2 if form in FIRSTS or form == VOCABULARY else 0


def _activations(shape: Shape, device: Device, load: Load, dropout: float) -> int:
    """Bytes that the backward pass needs of all blocks, embeddings and the head's input."""
    b, mask = device.number, _mask(device, dropout)
    each = _block(shape, device, load.length, dropout)
    blocks = shape.layers * each
    ends = shape.hidden * (mask + 4 + 4)  # the embeddings' dropout, and states before and after the last normalisation
    if load.format in FIRSTS and not shape.gated:
        keys = shape.hidden * (2 * b + (2 * b if device.bf16 else 4))
        blocks += keys - each
    else:
        ends += shape.hidden * b
    return int(load.tokens * (blocks + ends))


def _block(shape: Shape, device: Device, length: float, dropout: float) -> float:
    """Bytes a token that autograd saves of one block.

    Inputs of the two normalisations (float32, 8H); of the matrices that make query, key and value (one float32 for all
    three, 4H, or under autocast a bf16 copy for each, 6H); query, key, value and attention's output (4bH); inputs of
    both feed-forward matrices and of gelu (bH + 2bF, gated: 4bF); masks of dropout. Of attention, see `_probabilities`.
    """
    h, b = shape.hidden, device.number
    masks = (1 if shape.prenorm else 2) * _mask(device, dropout)
    asked = (1 if shape.gated else 3) * b if device.bf16 else 4
    inner = (4 if shape.gated else 2) * b * shape.inner
    return h * (8 + asked + 4 * b + b + masks) + inner + _attention(shape, device, length, dropout)


def _attention(shape: Shape, device: Device, length: float, dropout: float) -> float:
    """Bytes a token beside query, key, value and output: of the flash kernel a float32 a head.

    Elsewhere sequences of similar length are padded to one (`xstilts.model.packing`), so that query, key and value are
    saved once more, and the output too; with dropout on a CPU, softmax, its mask and what is left of it, [A, length].
    """
    if device.flash:
        return 4 * shape.heads
    again = 3 * PADDED * device.number * shape.hidden
    if device.name == "cpu" and dropout:
        return again + 3 * PADDED**2 * device.number * shape.heads * length
    return again + 4 * shape.heads + device.number * shape.hidden


def _mask(device: Device, dropout: float) -> int:
    """Bytes of a number's dropout mask: CUDA's kernel saves a bool, a CPU what it multiplied with."""
    return 0 if not dropout else 1 if device.name == "cuda" else device.number


def _process(shape: Shape, device: Device, extra: int = 0) -> int:
    return PROCESS + 4 * extra if device.name == "cpu" else 0
