"""Every file of conf/: composes, has its types, names what exists, and says of models what the models are."""

from __future__ import annotations

import re
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.config_loader import ConfigLoader
from omegaconf import OmegaConf

from xstilts import task
from xstilts.config import GROUPS, Entry, Recipe, Training, typed
from xstilts.formats import FORMATS
from xstilts.sweep.cell import resolve
from xstilts.sweep.check import check
from xstilts.sweep.compose import compose, loader
from xstilts.sweep.grid import Choice
from xstilts.sweep.sweeps import pretraining
from xstilts.task import CONF

FILES = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
LAUNCHERS = [path.stem for path in sorted((CONF / "hydra" / "launcher").glob("*.yaml"))]


def content(group: str, name: str) -> dict[str, Any]:
    return yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))


SUITES = [(group, name) for group, name in FILES if "suite" in content(group, name)]
CHOICES = [file for file in FILES if file not in SUITES]


@cache
def found() -> ConfigLoader:
    return loader()


@cache
def composed(group: str, name: str) -> Any:
    """The object of a choice, everything else being the default, in the toy world."""
    config = compose(found(), [f"{group}={name}", *(["world=toy"] if group != "world" else [])])
    return typed(group, OmegaConf.to_container(config[group], resolve=True), name)


def test_there_is_something_of_everything() -> None:
    """An empty folder would make the tests below pass."""
    count = {group: sum(g == group for g, _ in FILES) for group in GROUPS}
    least = {"model": 3, "inter": 12, "regime": 3, "target": 14, "recipe": 4, "world": 3}
    assert all(count[group] >= least[group] for group in GROUPS), count
    assert len(task.names()) >= 25


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_choice_composes_and_has_its_types(group: str, name: str) -> None:
    assert composed(group, name).name == name


ROWS = list(zip_longest(*([file for file in CHOICES if file[0] == group] for group in GROUPS if group != "world")))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_choices_compose_beside_each_other_with_the_hub(row: tuple[tuple[str, str] | None, ...]) -> None:
    chosen = [file for file in row if file]
    config = compose(found(), ["world=hub", *(f"{group}={name}" for group, name in chosen)])
    for group, name in [*chosen, ("world", "hub")]:
        made = typed(group, OmegaConf.to_container(config[group], resolve=True), name)
        assert made == typed(group, content(group, name), name)  # nothing reaches from one group into another


@pytest.mark.parametrize("name", [p.stem for p in sorted((CONF / "experiment").glob("*.yaml"))])
def test_every_experiment_is_accepted(name: str) -> None:
    root = ["world.root=somewhere"] if name == "slices" else []
    assert check([f"experiment={name}", *root])[0] == f"experiment={name}"


@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_launcher_composes_and_can_be_made(name: str) -> None:
    from hydra.utils import instantiate

    launcher = instantiate(compose(found(), [f"hydra/launcher={name}", "hydra.job.name=x"]).hydra.launcher)
    assert callable(launcher.execute)


@pytest.mark.parametrize(("group", "name"), FILES)
def test_no_group_refers_to_another(group: str, name: str) -> None:
    """The fast path composes each group by itself: see `xstilts.sweep.grid`."""
    text = (CONF / group / f"{name}.yaml").read_text(encoding="utf-8")
    assert all(reference.startswith(f"{group}.") for reference in re.findall(r"\$\{([^}]*)\}", text))
    assert "@package" not in text
    assert not set(content(group, name)) & {"defaults", "hydra", *GROUPS} - {"inter", "target"}


@pytest.mark.parametrize(("group", "name"), FILES)
def test_a_file_says_its_own_name(group: str, name: str) -> None:
    assert content(group, name)["name"] == name


@pytest.mark.parametrize(("group", "name"), SUITES)
def test_the_members_of_a_suite_exist_once(group: str, name: str) -> None:
    members = content(group, name)["suite"]
    assert len(set(members)) == len(members) > 1
    assert {(group, member) for member in members} <= set(CHOICES)


def entries(node: Any) -> list[Entry]:
    """The mixture entries anywhere in a group's object."""
    if isinstance(node, Entry):
        return [node]
    below = vars(node).values() if hasattr(node, "__dataclass_fields__") else node if isinstance(node, list) else ()
    return [entry for value in below for entry in entries(value)]


@pytest.mark.parametrize(("group", "name"), [f for f in CHOICES if f[0] in ("model", "inter", "regime", "target")])
def test_every_task_of_a_mixture_exists_and_can_be_trained_on(group: str, name: str) -> None:
    made = entries(composed(group, name))
    assert made or (group, name) in {("inter", "none"), ("target", "tatoeba"), ("target", "bucc")} or group in (
        "model", "regime",
    )  # fmt: skip
    for entry in made:
        behind = [task.load(t) for t in entry.tasks]
        assert all(t.train for t in behind), entry
        assert len({(t.format, tuple(t.labels)) for t in behind}) == 1, entry


@pytest.mark.parametrize("name", [n for g, n in CHOICES if g == "target"])
def test_every_target_evaluates_with_a_head_it_trains(name: str) -> None:
    target = composed("target", name)
    evaluated = task.load(target.evaluate)
    assert evaluated.languages
    assert evaluated.metric
    assert target.group in ("classification", "tagging", "qa", "retrieval")
    heads = {entry.name: task.load(entry.tasks[0]) for entry in target.train[-1]} if target.train else {}
    if target.head is None:
        assert evaluated.format in ("nearest", "mining")
    else:
        assert (heads[target.head].format, heads[target.head].labels) == (evaluated.format, evaluated.labels)
    trained = {t for mixture in target.train for entry in mixture for t in entry.tasks}
    derived = {"squad_retrieval": "squad"}  # made of the same questions and paragraphs
    own = {derived.get(t, t) for t in trained}
    inters = {n: {t for e in entries(composed("inter", n)) for t in e.tasks} for g, n in CHOICES if g == "inter"}
    assert set(target.same_task) == {inter for inter, data in inters.items() if data & own}


@pytest.mark.parametrize("name", task.names())
def test_every_task_loads(name: str) -> None:
    made = task.load(name)
    assert made.name == name
    assert made.format in FORMATS
    assert made.parts
    assert len(set(made.languages)) == len(made.languages)


def test_every_task_is_used_by_something() -> None:
    mixtures = [composed(g, n) for g, n in CHOICES if g in ("inter", "regime", "target")]
    used = {t for made in mixtures for entry in entries(made) for t in entry.tasks}
    used |= {content("target", n)["evaluate"] for g, n in CHOICES if g == "target"}
    assert set(task.names()) - used == {"toy_pretrain"}  # that one is the toy models'


@pytest.mark.parametrize("name", [n for g, n in CHOICES if g == "recipe"])
def test_the_sections_of_a_recipe_apply_to_something(name: str) -> None:
    recipe = composed("recipe", name)
    assert isinstance(recipe, Recipe)
    assert set(recipe.formats) <= set(FORMATS)
    heads = {e.name for g, n in CHOICES if g in ("inter", "regime", "target") for e in entries(composed(g, n))}
    assert set(recipe.tasks) <= heads
    assert set(recipe.models) <= {n for g, n in CHOICES if g == "model"}
    assert recipe.common != Training()


# models ---------------------------------------------------------------------------------------------------------------

MODELS = [name for group, name in CHOICES if group == "model"]


def counted(architecture: str, config: dict[str, Any]) -> tuple[int, int]:
    """Parameters and layers of the stock class, which takes no memory on the meta device."""
    import torch
    from transformers import AutoModel

    from xstilts.model import adapters

    made = adapters.configure(architecture, config)
    with torch.device("meta"):
        model = AutoModel.from_config(made, **adapters.get(architecture).options)
    return sum(p.numel() for p in model.parameters()), made.num_hidden_layers


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_parameters_it_says(name: str) -> None:
    model = composed("model", name)
    parameters, layers = counted(model.architecture, model.config)
    assert model.parameters == parameters
    assert model.retrieval_layer == round(layers * 14 / 24)
    assert pretraining(model.seen)["en"] > 0


@pytest.mark.parametrize("name", ["base", "large", "xl"])
def test_a_toy_model_has_the_parameters_it_says(name: str) -> None:
    raw = {
        group: OmegaConf.to_container(compose(found(), ["world=toy", f"model={name}"])[group], resolve=True)
        for group in ("model", "world")
    }
    model = resolve(Choice("model", name, (), raw["model"]), Choice("world", "toy", (), raw["world"]))
    parameters, layers = counted(model.architecture, model.config)
    assert model.parameters == parameters
    assert model.retrieval_layer == round(layers * 14 / 24)
    assert pretraining(model.seen)


def test_sizes_grow() -> None:
    sizes = [content("model", name)["parameters"] for name in ("mini", "base", "large", "xl")]
    assert sizes == sorted(sizes)


def test_what_was_read_in_pretraining_is_a_size_a_language() -> None:
    for path in (CONF / "seen").glob("*.yaml"):
        table = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        assert all(isinstance(code, str) and re.fullmatch("[a-z]{2,3}", code) for code in table), path  # `no` is a word
        assert all(isinstance(size, float) and size > 0 for size in table.values()), path
