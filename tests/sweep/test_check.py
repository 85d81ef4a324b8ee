"""What was typed wrong is refused before any work: exit status 2, one message, the valid names, nothing on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from commandline import Planned, fill

from xstilts.config import Do
from xstilts.errors import UserError
from xstilts.sweep import compose
from xstilts.sweep.check import check
from xstilts.sweep.entry import menu
from xstilts.sweep.sweeps import record
from xstilts.task import CONF

LAUNCH = CONF.parent / "launch.py"
LEAKS = ("Traceback", "HYDRA_FULL_ERROR", "earch path", "Available options", "use +", "site-packages")

#: what is typed -> what the message must say
MISTAKES = {
    # a group that is not there, a choice that is not there
    "modle=base": ["unknown key 'modle'", "did you mean 'model'"],
    "task=xnli": ["unknown key 'task'", "target"],
    "seen=cc100": ["unknown key 'seen'"],
    "hydra=x": ["unknown key 'hydra'"],
    "hydra/lancher=workstation": ["hydra/lancher", "did you mean 'hydra/launcher'"],
    "model=bse": ["model=bse", "did you mean 'base'", "large"],
    "model=base,lrage": ["model=lrage", "did you mean 'large'"],
    "target=[xnli,xnil]": ["target=xnil", "did you mean 'xnli'", "tatoeba"],
    "inter=": ["inter=", "mnli", "squad"],
    "target=[]": ["no choice given", "xnli"],
    "model=glob(zz*)": ["no choice given", "base"],
    "model=null": ["model=null", "base"],
    "hydra/launcher=nope": ["hydra/launcher=nope", "workstation"],
    "hydra/launcher=workstation,joblib": ["one value"],
    "hydra/sweeper=basic": ["hydra/sweeper=basic", "hydra/launcher"],
    "experiment=phang": ["experiment=phang", "did you mean 'phang2020'"],
    "experiment=demo,toy": ["experiment takes one value"],
    "experiment=demo experiment=toy": ["experiment is given twice", "experiment=demo", "experiment=toy"],
    # a key that is not there
    "recipe.target.lrr=1": ["'recipe.target.lrr'", "did you mean 'lr'", "weight_decay"],
    "recipe.targt.lr=1": ["'recipe.targt'", "did you mean 'target'"],
    "recipe.formats.spam.lr=1": ["'recipe.formats.spam.lr'", "did you mean 'span'"],
    "recipe.tasks.mnil.lr=1": ["'recipe.tasks.mnil.lr'", "did you mean 'mnli'"],
    "model.foo=1": ["'model.foo'", "architecture"],
    "store.pth=x": ["'store.pth'", "did you mean 'path'"],
    "numerics.thread=1": ["'numerics.thread'", "did you mean 'threads'"],
    "start=inter": ["unknown key 'start'", "from"],
    "hydra.foo=1": ["'hydra.foo'", "launcher"],
    "hydra.launcher.wrkers=2": ["'hydra.launcher.wrkers'", "did you mean 'workers'"],
    # a value of the wrong type
    "seed=abc": ["seed", "abc"],
    "seed=1.5": ["seed", "1.5"],
    "seed=null": ["seed"],
    "seed=interval(0,1)": ["seed", "a list of values"],
    "recipe.target.lr=fast": ["recipe.target.lr", "=fast"],
    "recipe.target.lr=1e-5,fast": ["recipe.target.lr", "=fast"],
    "recipe.tasks.mnli.epochs=many": ["recipe.tasks.mnli.epochs", "=many"],
    "recipe.target=5": ["recipe.target"],
    "model.parameters=abc": ["model.parameters", "abc"],
    "world.sizes.train=abc": ["world.sizes.train", "abc"],
    "keep=some": ["keep=some", "all, inter, scores"],
    "baseline=maybe": ["baseline", "'maybe'", "true, false"],
    "do=plna": ["do=plna", "did you mean 'plan'", *Do.__members__],
    "from=foo": ["from=foo", "evaluate, inter, target"],
    "numerics.device=gpu": ["numerics.device=gpu", "auto, cpu, cuda"],
    "numerics.threads=0": ["numerics.threads=0", "at least 1"],
    "numerics=5": ["numerics"],
    "store.read=x": ["store.read"],
    "store.read=[/nowhere/at/all]": ["/nowhere/at/all"],
    "store=": ["no value"],
    "sweep=../../x": ["sweep=../../x", "letters"],
    "sweep=a/b": ["sweep=a/b", "letters"],
    "hydra.launcher.workers=many": ["hydra.launcher.workers=many"],
    "hydra.launcher.tries=-1": ["hydra.launcher.tries=-1"],
    # what cannot be typed at all
    "+x=1": ["+x=1", "cannot be added"],
    "~model=base": ["~model=base", "removed"],
    "~model": ["~model", "KEY=VALUE"],
    "seed": ["'seed'", "KEY=VALUE"],
    "model@other=base": ["model@other"],
    "target=xnli,": ["target=xnli,", "quotes"],
    "seed=1 seed=2": ["seed is given twice"],
    "model=base ++model=large": ["model is given twice"],
    "store=a store.path=b": ["store.path is given twice"],
    "recipe.target.lr=${seed}": ["refer to each other"],
    "--config-dir x": ["--config-dir", "conf/"],
    "--config-name=x": ["--config-name"],
    "hydra.mode=RUN": ["hydra.mode", "MULTIRUN"],
    # lists where one value is asked for
    "do=plan,run": ["do takes one value"],
    "store=a,b": ["store.path takes one value"],
    "keep=all,inter": ["keep takes one value"],
    "sweep=a,b": ["sweep takes one value"],
    "numerics.threads=1,2": ["numerics.threads takes one value"],
    "baseline=true,false": ["baseline takes one value"],
    "from=inter,target": ["from takes one value"],
    "keep=[all,inter]": ["keep takes one value"],
    "recipe.target.lr=[1e-5,fast]": ["recipe.target.lr", "=fast"],
}
#: a plan is needed to see these
IMPOSSIBLE = {
    "target=xnli target.train=[]": ["target=xnli", "needs the head 'mnli'", "nothing trains it"],
    "target=xnli target.head=nmli": ["'nmli'", "did you mean 'mnli'"],
    "target=xnli target.head=null": ["needs a head", "mnli"],
    "target=xquad target.evaluate=xnli": ["the head 'squad' is not one for xnli"],
    "inter=ccg regime=translated target=xnli": ["ccg in de", "world.translations"],
    "world=toy model=mini": ["model 'mini'", "base, large, xl"],
    "world=toy model=base model.retrieval_layer=1": ["the toy world", "retrieval_layer"],
    "world=toy target=xquad": ["max_length=384", "256 positions", "recipe.target.max_length=256"],
    "target=xnli recipe.common.max_length=1024": ["max_length=1024", "512 positions"],
    "target=xnli recipe.target.batch_size=0": ["batch_size=0", "at least 1"],
    "target=xnli recipe.common.warmup=2": ["warmup=2", "from 0 to 1"],
    "target=xnli recipe.common.dropout=1.0": ["dropout=1.0", "less than 1"],
    "target=xnli recipe.common.epochs=0": ["epochs=0", "more than 0"],
    "target=xnli seed=-1": ["seed=-1", "whole number"],
    "target=xnli seed=99999999999999999999": ["seed=99999999999999999999"],
    "world=files target=xnli": ["world.root=FOLDER"],
    "world=toy,hub target=xnli library=lib recipe=toy": ["share the library"],
    "world=toy world.seed=0,1 target=xnli recipe=toy": ["share the library"],
    "target=xnli model.config.hidden_size=abc": ["model.config.hidden_size=abc", "number"],
    "target=xnli model.config.hiden_size=8": ["'model.config.hiden_size'", "did you mean 'hidden_size'"],
    "target=xnli model.seen=cc10": ["cc10", "did you mean 'cc100'"],
    "target=tatoeba target.evaluate=tatoba": ["'tatoba'", "did you mean 'tatoeba'"],
    "inter=mnli target=tatoeba inter.mixture=[{name: x, tasks: [mnlii]}]": ["'mnlii'", "did you mean 'mnli'"],
    "inter=mnli target=tatoeba inter.mixture=[{name: x, tasks: [mnli, squad]}]": ["mnli, squad cannot share a head"],
    "inter=mnli target=tatoeba inter.mixture=[{name: x, tasks: [xnli]}]": ["xnli has no training data"],
}


def words(line: str) -> list[str]:
    """As a shell splits it; brackets here hold spaces."""
    return [line] if line.startswith("--") and "=" in line else _split(line)


def _split(line: str) -> list[str]:
    depth, found = 0, [""]
    for character in line:
        depth += (character in "[{(") - (character in "]})")
        if character == " " and not depth:
            found.append("")
        else:
            found[-1] += character
    return found


def complain(message: str, said: list[str]) -> None:
    assert len(message.strip().splitlines()) == 1
    for expected in said:
        assert expected in message
    for leak in LEAKS:
        assert leak not in message


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is empty and must stay so."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_are_refused(line: str, elsewhere: Path) -> None:
    with pytest.raises(UserError) as caught:
        check(words(line))
    complain(str(caught.value), MISTAKES[line])
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("line", IMPOSSIBLE)
def test_what_cannot_work_is_refused(line: str, planned: Planned, elsewhere: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        record(planned(*words(line)), [], None)
    complain(str(caught.value), IMPOSSIBLE[line])
    assert list(elsewhere.iterdir()) == []
    assert not (tmp_path / "store").exists()


def test_a_translation_that_nobody_has_is_refused_when_the_rest_is_there(planned: Planned, tmp_path: Path) -> None:
    fill(tmp_path / "lib", "hub", "mnli", "xnli", "ccg", models=("base",))
    with pytest.raises(UserError, match=r"ccg in de: .*world\.translations=FOLDER"):
        planned("inter=ccg", "regime=translated", "target=xnli", f"library={tmp_path / 'lib'}")


def test_a_library_of_another_world_is_not_touched(planned: Planned, tmp_path: Path) -> None:
    fill(tmp_path / "lib", "files", "mnli", "xnli")
    with pytest.raises(UserError, match=r"of world=files, not of world=hub.*library=PATH"):
        planned("target=xnli", f"library={tmp_path / 'lib'}")


@pytest.mark.parametrize(
    ("line", "checked"),
    [
        ("model=[base,large]", ["model=base,large"]),
        ("model=glob(x*)", ["model=xl"]),
        ("seed=[0,1]", ["seed=0,1"]),
        ("recipe.target.lr=[1e-5,2e-5]", ["++recipe.target.lr=1e-05,2e-05"]),
        ("target.same_task=[a,b]", ["++target.same_task=[a,b]"]),
        ("recipe.target.lr=1e-5,2e-5", ["++recipe.target.lr=1e-5,2e-5"]),
        ("++recipe.target.lr=1e-5", ["++recipe.target.lr=1e-5"]),
        ("recipe.tasks.mnli.lr=3", ["++recipe.tasks.mnli.lr=3"]),
        ("recipe.formats.span.lr=3", ["++recipe.formats.span.lr=3"]),
        ("experiment=[demo]", ["experiment=demo"]),
        ("experiment=null do=plan", ["do=plan"]),
        ("store=a", ["store.path='a'"]),
        ("store=2024", ["store.path='2024'"]),
        ("sweep=00123456", ["sweep='00123456'"]),  # an automatic name may look like a number
        ("sweep=1234e567", ["sweep='1234e567'"]),
        ("sweep=null library=null", ["sweep=null", "library=null"]),
        ("-m do=plan", ["-m", "do=plan"]),
        ("do=plan -m seed=1", ["-m", "do=plan", "seed=1"]),
        ("--cfg job target=xnli", ["--cfg", "job", "target=xnli"]),
        ("hydra.launcher.workers=2", ["hydra.launcher.workers=2"]),
        ("hydra/launcher=joblib hydra.launcher.n_jobs=2", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]),
    ],
)
def test_what_hydra_gets(line: str, checked: list[str]) -> None:
    assert check(line.split()) == checked


# files of a user's own -----------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a file into a copy of conf/, which is used instead."""
    import shutil

    copy = tmp_path / "conf"
    shutil.copytree(CONF, copy)
    monkeypatch.setattr(compose, "CONF", copy)

    def write(name: str, text: str) -> None:
        (copy / name).write_text(text)

    return write


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("experiment/mine.yaml", "hydra: {sweeper: {params: {modle: base}}}", ["experiment=mine", "'model'"]),
        ("experiment/mine.yaml", "hydra: {sweeper: {params: {model: bse}}}", ["experiment=mine", "'base'"]),
        ("experiment/mine.yaml", "hydra: {sweeper: {params: {model: [base, lrge]}}}", ["experiment=mine", "'large'"]),
        ("experiment/mine.yaml", "hydra: {sweeper: {params: {seed: abc}}}", ["experiment=mine", "abc"]),
        ("experiment/mine.yaml", "tagret: xnli", ["'tagret'", "did you mean 'target'"]),
        ("experiment/mine.yaml", "seed: abc", ["seed", "abc"]),
        ("experiment/mine.yaml", "keep: some", ["keep=some", "scores"]),
        ("experiment/mine.yaml", "defaults: [{override /model: bse}]", ["model/bse"]),
        ("experiment/mine.yaml", "seed: [", ["mine.yaml"]),
        ("experiment/mine.yaml", "- a\n- b", ["experiment/mine"]),
        ("recipe/matched.yaml", "name: [", ["matched.yaml"]),
    ],
)
def test_mistakes_in_files_are_refused(
    own: Callable[[str, str], None], name: str, text: str, said: list[str], elsewhere: Path
) -> None:
    own(name, f"# @package _global_\n{text}" if name.startswith("experiment") else text)
    group = name.split("/")[0]
    with pytest.raises(UserError) as caught:
        check([f"{group}={Path(name).stem}"])
    complain(str(caught.value), said)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("partion: gpu", ["conf/site/local.yaml", "'hydra.launcher.partion'", "did you mean 'partition'"]),
        ("mem_gb: lots", ["conf/site/local.yaml", "mem_gb=lots", "number"]),
        ("partition: [a", ["local.yaml", "line 1"]),
    ],
)
def test_mistakes_in_a_cluster_s_own_file_are_refused(
    own: Callable[[str, str], None], text: str, said: list[str], elsewhere: Path
) -> None:
    own("site/local.yaml", text)
    with pytest.raises(UserError) as caught:
        check(["hydra/launcher=slurm"])
    complain(str(caught.value), said)
    assert check(["hydra/launcher=workstation"]), "whoever does not submit is not troubled"


def test_the_example_of_a_cluster_s_own_file_works(own: Callable[[str, str], None]) -> None:
    text = (CONF / "site/example.yaml").read_text()
    own("site/local.yaml", text)
    keys = yaml.safe_load(text)
    launcher = compose.compose(compose.loader(), ["hydra/launcher=slurm", "hydra.launcher.mem_gb=64"]).hydra.launcher
    assert {key: launcher[key] for key in keys} == {**keys, "mem_gb": 64}, "what is typed wins"


# the real command ----------------------------------------------------------------------------------------------------


def launch(*typed: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HYDRA")}
    return subprocess.run([sys.executable, str(LAUNCH), *typed], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("line", ["-m target=[xnli,xnil]", "do=plan target=xnli target.train=[]"])
def test_the_command_says_one_thing_and_leaves_nothing(line: str, elsewhere: Path) -> None:
    ended = launch(*line.split())
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: ")
    complain(ended.stderr, [])
    assert list(elsewhere.iterdir()) == []


def test_planning_leaves_nothing(elsewhere: Path) -> None:
    ended = launch("do=plan", "target=xnli")
    assert ended.returncode == 0, ended.stderr
    assert list(elsewhere.iterdir()) == []


def test_without_words_the_menu(elsewhere: Path) -> None:
    ended = launch()
    assert ended.returncode == 0
    assert ended.stdout.strip() == menu().strip()
    for word in (*(f"do={verb}" for verb in Do.__members__), "base", "mnli", "xtreme_r", "phang2020", "toy"):
        assert word in ended.stdout
    assert list(elsewhere.iterdir()) == []
