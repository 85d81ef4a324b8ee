"""The schema of `conf/`: what every key is, and which values it takes.

Hydra composes; this module says what a composed configuration must look like, with OmegaConf's own type checks.
Nothing here decides anything: cells and plans read these classes, and only them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from xstilts.errors import UserError, choices


class Do(Enum):
    """The verbs of `do=`."""

    run = "do what is missing, then print the table"
    plan = "say what would run, what is reused and what it costs"
    status = "one table of a sweep: done, running, failed, blocked by what"
    retry = "run again what failed or was interrupted"
    cancel = "stop what this sweep is running"
    rerun = "one cell once more, as a new attempt beside the old one, compared (from=inter|target|evaluate)"
    report = "write results.parquet, results.csv and report.html, print the table"
    export = "write a folder for a paper: tables, figures, predictions, configurations, data, checksums"
    fetch = "fill the library: data and weights (needs a network for world=hub)"
    publish = "bring W&B level with the store: runs that are missing or behind, and the tables of each sweep"
    dashboard = "make the W&B workspace and report of a published sweep"
    push = "send what is done to the store of another machine (remote=user@host:STORE, weights=true)"
    pull = "get what the store of another machine has done"
    clean = "delete what nobody needs: abandoned attempts, weights that keep= does not keep"


class Keep(Enum):
    """Which weights stay in the store."""

    all = "every checkpoint"
    inter = "those that other trainings start from; a last checkpoint goes once it is evaluated"
    scores = "none, once everything that starts from them is done"


class Order(Enum):
    """What runs first, and what `budget=` takes first."""

    cost = "what has most behind it; the budget takes cells as they were typed"
    seed_first = "all of one seed before anything of the next, so that a grid that is cut short has whole seeds"


class Unavailable(Enum):
    """What data that a world has nowhere does to a grid."""

    refuse = "nothing runs"
    skip = "the cells that need it are left out, and that is said"


class From(Enum):
    """Where `do=rerun` starts."""

    inter = "inter"
    target = "target"
    evaluate = "evaluate"


class Precision(Enum):
    fp32 = "fp32"
    bf16 = "bf16"


class Checkpoint(Enum):
    best = "best"
    last = "last"


class Sampler(Enum):
    proportional = "proportional"
    temperature = "temperature"
    uniform = "uniform"


def _object(schema: type, values: Any) -> Any:
    """Values below a key whose own type OmegaConf cannot say, with the same checks."""
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), values))


@dataclass
class Training:
    """How one phase is trained. In a recipe's sections null means: not said here. Every key decides the result."""

    lr: float | None = None  # peak learning rate of AdamW
    warmup: float | None = None  # share of the steps
    weight_decay: float | None = None  # none on biases and layer norms
    beta1: float | None = None
    beta2: float | None = None
    eps: float | None = None
    clip: float | None = None  # of the gradient's norm
    batch_size: int | None = None  # units a step
    epochs: float | None = None  # of the mixture
    steps: int | None = None  # counts where a section says both
    max_length: int | None = None  # sub-words a sequence
    stride: int | None = None  # overlap of windows of a long context
    max_query_length: int | None = None  # of a question, or a dual encoder's query
    dropout: float | None = None  # null: the model's own
    precision: Precision | None = None
    checkpoint: Checkpoint | None = None  # best on the English selection set, or last
    eval_every: int | None = None  # steps; null: once an epoch
    selection_items: int | None = None  # a fixed random choice of the selection set; null: all
    patience: int | None = None  # evaluations without improvement before stopping; null: never
    sampler: Sampler | None = None  # of several tasks
    temperature: float | None = None
    cap: int | None = None  # of a task's size in the sampler
    bucket: int | None = None  # steps whose units are sorted by length before they are cut into batches; null: random


@dataclass
class Recipe:
    """Sections apply in this order, later ones win: common, formats, models, tasks or mixture, then the phase.

    The phase sections are for the command line: `recipe.target.lr=2e-5` beats whatever the recipe says a task.
    """

    name: str = MISSING
    about: str = ""
    common: Training = field(default_factory=Training)
    formats: dict[str, Training] = field(default_factory=dict)
    models: dict[str, dict[str, Training]] = field(default_factory=dict)  # by model, then by format
    tasks: dict[str, Training] = field(default_factory=dict)  # by the name of a mixture's entry
    mixture: Training = field(default_factory=Training)  # several entries at once
    inter: Training = field(default_factory=Training)
    target: Training = field(default_factory=Training)
    pretrain: Training = field(default_factory=Training)
    assumed: dict[str, list[Any]] = field(default_factory=dict)  # keys no source gives -> values to try as well

    def __post_init__(self) -> None:
        # OmegaConf makes objects of one level of a dictionary, and not of two.
        self.models = {
            model: {name: _object(Training, section) for name, section in sections.items()}
            for model, sections in self.models.items()
        }


@dataclass
class Entry:
    """One head of a mixture and the tasks whose items it sees, concatenated."""

    name: str = MISSING
    tasks: list[str] = MISSING
    rate: float | None = None  # a fixed share of the steps
    languages: list[str] | None = None  # of its training data; null: those of the phase


@dataclass
class Model:
    """One YAML a pretrained model."""

    name: str = MISSING
    about: str = ""
    architecture: str = MISSING  # a model type of transformers that xstilts.model.adapters knows
    parameters: int = MISSING  # of the encoder, embeddings included
    config: dict[str, Any] = field(default_factory=dict)  # of transformers' configuration class
    hub: dict[str, Any] = field(default_factory=dict)  # id, revision
    random: bool = False  # start from random weights, not from pretrained ones
    pretrain: list[Entry] | None = None  # train it first, on this mixture, by recipe.pretrain
    retrieval_layer: int = MISSING  # the layer that sentence retrieval reads; 14 of 24 and in proportion
    seen: Any = MISSING  # pretraining text a language in GiB, or the name of such a table in conf/seen; absent: unseen
    licence: str = ""
    citation: str = ""


@dataclass
class Inter:
    name: str = MISSING
    about: str = ""
    mixture: list[Entry] = field(default_factory=list)


@dataclass
class Regime:
    """How the intermediate phase is fed."""

    name: str = MISSING
    about: str = ""
    languages: list[str] = field(default_factory=lambda: ["en"])  # of the intermediate training data
    mlm: Entry | None = None  # masked language modelling mixed in


@dataclass
class Target:
    name: str = MISSING
    about: str = ""
    train: list[list[Any]] = field(default_factory=list)  # a chain of mixtures of entries
    head: str | None = None  # the entry whose head evaluates
    evaluate: str = MISSING  # a task
    group: str = ""
    same_task: list[str] = field(default_factory=list)  # inter choices that train on this target's own data

    def __post_init__(self) -> None:
        # OmegaConf types lists of classes, and no lists of lists of them.
        self.train = [[_object(Entry, entry) for entry in mixture] for mixture in self.train]


@dataclass
class World:
    """Where data and weights come from."""

    name: str = MISSING
    kind: str = MISSING  # hub, files or toy
    about: str = ""
    synthetic: bool = False
    root: str | None = None  # folder of the original distributions; hub: of those that are not on it
    translations: str | None = None  # folder of the user's own training data in other languages, TASK/LANGUAGE.jsonl
    complete: bool = True  # refuse what differs from the published counts
    tokenizer: str | None = None  # files: folder of a Hugging Face tokenizer
    weights: str | None = None  # files: folder with a model folder each; toy: shipped, or a folder, or null: pretrain
    mirror: str | None = None  # hub: folder laid out like the hub, read instead of it
    seed: int = 0  # toy
    sizes: dict[str, int] = field(default_factory=dict)  # toy: items a split


@dataclass
class StorePaths:
    path: str = "store"
    read: list[str] = field(default_factory=list)  # stores of others, never written
    group: str | None = None  # the Unix group that works on it together


@dataclass
class Numerics:
    """How a result is computed; recorded, never in an id."""

    device: str = "auto"  # cpu, cuda, or auto: cuda where there is one
    threads: int | None = 1  # a process on CPU
    micro_tokens: int | None = None  # tokens a micro-batch; null: as many as serve a device and fit it
    save_every: float = 300.0  # seconds between two resume states
    embeddings: str = "auto"  # trained: whole table, rows used by the data, or auto: those where it pays
    shard: bool = False  # of a training on several GPUs each keeps a share of the weights, gradients and moments

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise UserError(f"numerics.device={self.device}: {choices(self.device, ('auto', 'cpu', 'cuda'))}")
        if self.embeddings not in ("auto", "whole", "used"):
            known = choices(self.embeddings, ("auto", "whole", "used"))
            raise UserError(f"numerics.embeddings={self.embeddings}: {known}")
        for key, least in {"threads": 1, "micro_tokens": 1, "save_every": 0}.items():
            value = getattr(self, key)
            if value is not None and not value >= least:
                raise UserError(f"numerics.{key}={value}: it must be at least {least}")


@dataclass
class Tracker:
    """Where the store's numbers are shown as well; never in an id."""

    mode: str = "none"  # none; online: W&B while a stage runs; offline: run files for `wandb leet`
    project: str = "xstilts"
    entity: str | None = None  # null: the key's own
    salt: str | None = None  # at the end of every run's id: W&B never takes back the id of a deleted run

    def __post_init__(self) -> None:
        if self.mode not in ("none", "online", "offline"):
            raise UserError(f"tracker={self.mode}: {choices(self.mode, ('none', 'online', 'offline'))}")


@dataclass
class Config:
    """A composed configuration, of one cell."""

    model: Model = field(default_factory=Model)
    inter: Inter = field(default_factory=Inter)
    regime: Regime = field(default_factory=Regime)
    target: Target = field(default_factory=Target)
    recipe: Recipe = field(default_factory=Recipe)
    world: World = field(default_factory=World)
    seed: int = 0
    do: Do = Do.run
    sweep: str | None = None
    baseline: bool = True
    export: str | None = None
    store: StorePaths = field(default_factory=StorePaths)
    library: str | None = None
    keep: Keep = Keep.inter
    unavailable: Unavailable = Unavailable.refuse
    order: Order = Order.cost
    budget: float | None = None  # GPU-hours
    remote: str | None = None  # the other store of do=push and do=pull
    weights: bool = False  # whether they send weights
    numerics: Numerics = field(default_factory=Numerics)
    tracker: Tracker = field(default_factory=Tracker)
    # `from` is a word of Python's: see `start`
    start: From = From.target


GROUPS = ("model", "inter", "regime", "target", "recipe", "world")
SCHEMAS = {"model": Model, "inter": Inter, "regime": Regime, "target": Target, "recipe": Recipe, "world": World}
SWEEP_NAME = r"\w[\w.+-]*"  # a file name
#: Top-level keys that are no group: each has its type in Config.
VALUES = tuple(f.name for f in fields(Config) if f.name not in GROUPS)


def typed(group: str, values: Any, name: str) -> Any:
    """The object of one composed group, its types checked. Raises `UserError` naming the file's key."""
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SCHEMAS[group]), values))
    except OmegaConfBaseException as error:
        raise UserError(f"{group}={name}: {explain(error)}") from None


def schema_name(key: str) -> str:
    """What `Config` calls a key: `from` is a word of Python's."""
    return "start" if key == "from" else key


def explain(error: OmegaConfBaseException, where: str = "") -> str:
    """OmegaConf's complaint in one line a person can act on; `where` names the key when it does not."""
    key = getattr(error, "full_key", None) or where
    key = "from" if key == "start" else key
    text = str(error).splitlines()[0]
    if choice := re.match(r"Invalid value '(.*)', expected one of \[(.*)\]", text):
        return f"{key}={choice[1]}: no such choice; {choices(choice[1], choice[2].split(', '))}"
    if number := re.match(r"Value '(.*)' of type '\w+' could not be converted to (Integer|Float)", text):
        return f"{key}={number[1]}: a {'whole ' if number[2] == 'Integer' else ''}number is needed"
    if "valid bool" in text:
        return f"{key}: {text[0].lower()}{text[1:]}; valid choices: true, false"
    if isinstance(error, ConfigKeyError):
        known = [f.name for f in fields(error.object_type)] if is_dataclass(error.object_type) else []
        return f"unknown key {key!r}" + (f"; {choices(str(key).split('.')[-1], known)}" if known else "")
    if "issing mandatory" in text:
        return f"the key {key!r} has no value"
    return f"{key}: {text[0].lower()}{text[1:]}"
