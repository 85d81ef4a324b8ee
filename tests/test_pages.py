"""The page of all tasks is what its generator prints, and says of every task what its YAML says."""

from __future__ import annotations

from pathlib import Path

import pytest

from xstilts import pages, task

PAGE = Path(__file__).parents[1] / "docs" / "tasks.md"


def section(name: str) -> str:
    return pages.page().split(f"\n### {name}\n")[1].split("\n### ")[0]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == pages.page(), "run: python -m xstilts.pages > docs/tasks.md"


@pytest.mark.parametrize("name", task.names())
def test_every_task_has_its_section(name: str) -> None:
    one, text = task.load(name), section(name)
    assert f"[{name}](#{name})" in pages.page()
    for said in (one.title, one.licence, one.citation, " ".join(one.notes.split())):
        assert said in text
    assert f"`{one.metric}`" in text or not one.selection
    if one.languages:
        assert f"{len(one.languages)}: {' '.join(one.languages)}" in text
    assert all(f" {number:,}" in text for number in one.counts.values() if number)


def test_sizes_by_split_and_number() -> None:
    counts = {"en/train": 20000, "af/test": 1000, "jv/test": 100, "my/test": 100, "af/dev": 5, "jv/dev": 5, "my/dev": 5}
    said = pages._sizes({**counts, "a/dev+b/dev": 7}, ["af", "jv", "my"])
    assert said == "train 20,000; test 1,000 in af, 100 in jv my; dev 7 in a + b, 5 each"
    assert pages._sizes({"en/test": 9}, ["de", "en"]) == "test 9 in en"
    assert pages._sizes({"tl/dev": 0}, ["de", "tl"]) == "dev none in tl"


def test_who_uses_what() -> None:
    assert "- **Target**: `tatoeba` (XTREME, XTREME-R), `tatoeba_squad`" in section("tatoeba")
    assert "XTREME is without az lt pl ro uk" in section("tatoeba")
    assert "- **In the intermediate tasks**: `multitask`, `multitask_open`, `qqp`" in section("qqp")
    assert "`mlqa`, `tatoeba_squad`, `xquad`" in section("squad")
    assert "as MLQA's script has them" in section("mlqa")
    assert "as SQuAD 2.0's script has them" in section("squad_v2")
