"""The page of all tasks, from their YAML files: `python -m xstilts.pages > docs/tasks.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from xstilts import task
from xstilts.scoring import suites
from xstilts.task import CONF, Task

HEAD = """\
<!-- Generated from conf/task/*.yaml: python -m xstilts.pages > docs/tasks.md -->
# Tasks

One section a data set, as `conf/task/NAME.yaml` has it. Sizes are the published ones, in items; what has no size there
is not checked. A *part* is one file of the library: `en/train` is trained on, `en/selection` chooses checkpoints and is
never tested on, `dev` and `test` are evaluated. Metrics are in percent and defined in [scoring.md](scoring.md).
"""
SECTIONS = {"target": "Targets", "inter": "Intermediate tasks", "other": "What else is trained on"}
FORMATS = {
    "classification": "one text or a pair, one label",
    "choice": "which of {choices} choices fits the context",
    "span": "a question, answered by a stretch of its context{no_answer}",
    "tagging": "one tag a word",
    "nearest": "for every English sentence, which sentence of the language is its translation; nothing is trained",
    "mining": "which sentences of two monolingual pools are translations of each other; nothing is trained",
    "dual_encoder": "which candidates are right for a query, by the product of two embeddings",
    "mlm": "masked language modelling",
}
#: By format and metric, and for spans by who defines what the same text is.
METRICS = {
    "classification accuracy": "right labels of all",
    "choice accuracy": "right choices of all",
    "tagging accuracy": "right tags of all",
    "nearest accuracy": "sentences whose nearest neighbour is their translation",
    "mlm accuracy": "right tokens of those that were masked",
    "tagging f1": "F1 of chunks by seqeval 0.0.12, beside it that of 1.2.2 and the accuracy of tags",
    "mining f1": "F1 of the extracted pairs, with the threshold that is best on dev",
    "dual_encoder map20": "mean average precision among the best 20",
    "dual_encoder mrr20": "mean reciprocal rank of the right one among the best 20",
    "span em_f1": "mean of exact match and F1, as SQuAD 1.1's script has them",
    "span em_f1 mlqa": "mean of exact match and F1, as MLQA's script has them, by the language of the context",
    "span em_f1 no_answer": "mean of exact match and F1, as SQuAD 2.0's script has them",
}


@dataclass
class Uses:
    """Who trains on a task, and who evaluates on it."""

    inters: list[str] = field(default_factory=list)
    training: list[str] = field(default_factory=list)  # targets
    targets: list[str] = field(default_factory=list)

    @property
    def section(self) -> str:
        return "target" if self.targets else "inter" if self.inters else "other"


def page() -> str:
    """All of it, in Markdown."""
    uses = _uses()
    names = {section: [n for n in task.names() if uses[n].section == section] for section in SECTIONS}
    lines = [HEAD]
    for section, title in SECTIONS.items():
        lines += [f"## {title}", "", *_overview(map(task.load, names[section])), ""]
        for name in names[section]:
            lines += [*_section(task.load(name), uses[name]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _overview(tasks: Iterable[Task]) -> Iterator[str]:
    yield "| task | what it is | languages | metric |"
    yield "|---|---|---|---|"
    for one in tasks:
        languages = str(len(one.languages)) if one.languages else "en"
        yield f"| [{one.name}](#{one.name}) | {one.title} | {languages} | `{one.metric}` |"


def _section(one: Task, uses: Uses) -> Iterator[str]:
    yield f"### {one.name}"
    yield ""
    yield f"**{one.title}{'' if one.title.endswith('?') else '.'}** {_format(one)}."
    yield ""
    for name, text in _facts(one, uses).items():
        if text:
            yield f"- **{name}**: {text}"
    if one.notes:
        yield f"- **Oddities**: {' '.join(one.notes.split())}"


def _facts(one: Task, uses: Uses) -> dict[str, str]:
    return {
        "Labels": _labels(one),
        "Languages": _languages(one, uses),
        "Items": _sizes(one.counts, one.languages),
        "Metric": _metric(one) if one.languages else f"{_metric(one)}; on its selection set" * bool(one.selection),
        "Target": ", ".join(f"`{name}`{_suites(name)}" for name in uses.targets),
        "In the intermediate tasks": ", ".join(f"`{name}`" for name in uses.inters),
        "Trained on by": ", ".join(f"`{name}`" for name in uses.training),
        "In other languages": _elsewhere(one),
        "Source": _source(one.source),
        "Licence": one.licence,
        "Citation": one.citation,
    }


def _format(one: Task) -> str:
    no_answer = ", or said to have no answer" if one.options.get("no_answer") else ""
    text = FORMATS[one.format].format(choices=one.options.get("choices"), no_answer=no_answer)
    return text[0].upper() + text[1:]


def _metric(one: Task) -> str:
    of_span = "no_answer" if one.options.get("no_answer") else one.options.get("normalisation", "")
    said = METRICS.get(" ".join(filter(None, [one.format, one.metric, of_span])))
    return f"`{one.metric}`: {said}" if said else f"`{one.metric}`"


def _labels(one: Task) -> str:
    shown = ", ".join(f"`{label}`" for label in one.labels[:20])
    return shown + f" and {len(one.labels) - 20} more" * (len(one.labels) > 20)


def _languages(one: Task, uses: Uses) -> str:
    if not one.languages:
        return ""
    later = {name: suites.LATER[name] for name in uses.targets if name in suites.LATER}
    fewer = "".join(f"; XTREME is without {codes}" for codes in later.values())
    return f"{len(one.languages)}: {' '.join(one.languages)}{fewer}"


def _sizes(counts: Mapping[str, int], every: Sequence[str] = ()) -> str:
    """By split and number, each with its languages: `test 1,000 in af bn, 100 in jv my yo`."""
    grouped: dict[str, dict[int, list[str]]] = {}
    for part, number in counts.items():
        languages = [one.split("/")[0] for one in part.split("+")]
        grouped.setdefault(part.rpartition("/")[2], {}).setdefault(number, []).append(" + ".join(languages))
    said = []
    for split, sizes in grouped.items():
        ordered = sorted(sizes.items(), reverse=True)
        numbers = [(f"{number:,}" if number else "none") + _where(split, own, every) for number, own in ordered]
        said.append(f"{split} {', '.join(numbers)}")
    return "; ".join(said)


def _where(split: str, languages: Sequence[str], every: Sequence[str]) -> str:
    if split not in ("dev", "test") and languages in (["en"], ["all"]):
        return ""
    return " each" if languages == list(every) else f" in {' '.join(languages)}"


def _suites(target: str) -> str:
    titles = [title for name, title in suites.TITLES.items() if target in suites.load(name).languages]
    return f" ({', '.join(titles)})" if titles else ""


def _elsewhere(one: Task) -> str:
    """The training part in other languages."""
    if not one.multilingual:
        return ""
    own = one.multilingual
    sizes = _sizes(own.get("counts", {}), own["languages"]) or f"train in {' '.join(own['languages'])}"
    source = _source(own["source"])
    said = [sizes, source if source != _source(one.source) else "", own.get("licence"), own.get("citation")]
    return "; ".join(filter(None, said))


def _source(source: Mapping[str, Any]) -> str:
    said = []
    if hub := source.get("hub"):
        where = f"<https://github.com/{hub['github']}>" if "github" in hub else f"`{hub['id']}` on the hub"
        said.append(where + (f" at `{hub['revision'][:12]}`" if "revision" in hub else ""))
    if files := source.get("files"):
        places = [place["paths"] if isinstance(place, dict) else place for place in files["parts"].values()]
        paths = [path for place in places for path in ([place] if isinstance(place, str) else place)]
        said.append("files " + ", ".join(f"`{path}`" for path in dict.fromkeys(paths)))
    return "; ".join(said) or "generated"


@cache
def _uses() -> dict[str, Uses]:
    found = {name: Uses() for name in task.names()}
    for inter in _group("inter"):
        for name in _trained(inter["mixture"]):
            found[name].inters.append(inter["name"])
    for target in _group("target"):
        if "suite" not in target:
            found[target["evaluate"]].targets.append(target["name"])
            for mixture in target["train"]:
                for name in _trained(mixture):
                    found[name].training.append(target["name"])
    return found


def _trained(mixture: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(task.load(name).base for entry in mixture for name in entry["tasks"]))


def _group(name: str) -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((CONF / name).glob("*.yaml"))]


if __name__ == "__main__":
    sys.stdout.write(page())
