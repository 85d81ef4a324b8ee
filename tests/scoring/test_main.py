"""The command: every metric from files, goldens computed by hand, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xstilts.scoring.__main__ import main
from xstilts.scoring.metrics import METRICS
from xstilts.scoring.submission import SUITES

Content = str | bytes | dict | list | np.ndarray
Scored = Callable[..., dict[str, Any]]


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., list[str]]:
    """Command line of a metric whose files have this content."""

    def arguments(
        metric: str, predictions: Content | tuple[Content, ...], references: Content, *more: str
    ) -> list[str]:
        several = predictions if isinstance(predictions, tuple) else (predictions,)
        said = [str(put(tmp_path / f"said{i}", content)) for i, content in enumerate(several)]
        return [metric, "--predictions", *said, "--references", str(put(tmp_path / "gold", references)), *more]

    return arguments


@pytest.fixture
def scored(asked: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]) -> Scored:
    """What the command prints: one line, one object."""

    def run(*arguments: Any) -> dict[str, Any]:
        assert main(asked(*arguments)) == 0
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        return json.loads(out)

    return run


def put(path: Path, content: Content) -> Path:
    if isinstance(content, np.ndarray):
        path = path.with_suffix(".npy")
        np.save(path, content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8", newline="")
    return path


def squad(**answers: list[str]) -> dict:
    """Questions by id and their answers, a paragraph each."""
    qas = [
        {"id": k, "question": "?", "answers": [{"text": t, "answer_start": 0} for t in v]} for k, v in answers.items()
    ]
    return {"version": "1.1", "data": [{"title": "", "paragraphs": [{"context": "", "qas": [qa]} for qa in qas]}]}


# question answering -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["squad_v1", "xquad", "tydiqa"])
def test_squad(scored: Scored, metric: str) -> None:
    gold = squad(a=["the cat"], b=["a dog", "wolf"], c=["bird"], d=["fish"])
    found = scored(metric, {"a": "Cat!", "b": "big dog", "d": "", "else": "x"}, gold)
    assert found["exact_match"] == 25
    assert found["f1"] == pytest.approx(100 * (1 + 2 / 3) / 4)
    assert found["value"] == found["em_f1"] == (found["exact_match"] + found["f1"]) / 2
    assert (found["metric"], found["version"], found["count"]) == (metric, "squad-1.1", 4)
    assert (found["missing"], found["unknown"]) == (1, 1)


def test_the_language_of_mlqa_decides(scored: Scored) -> None:
    said, gold = {"a": "der Hund"}, squad(a=["Hund"])
    assert scored("mlqa", said, gold, "--language", "de")["exact_match"] == 100
    assert scored("mlqa", said, gold, "--language", "en")["exact_match"] == 0
    assert scored("squad_v1", said, gold, "--language", "de")["exact_match"] == 0, "and nowhere else"


def test_articles_without_a_head(scored: Scored) -> None:
    assert scored("xquad", {"a": "cat"}, squad(a=["cat"])["data"])["exact_match"] == 100


QUESTIONS = squad(a=["cat"], b=["the dog"], c=[], d=[])


def test_squad_v2(scored: Scored) -> None:
    found = scored("squad_v2", {"a": "cat", "b": "big dog", "c": "", "d": "bird"}, QUESTIONS)
    assert found["exact"] == 50
    assert found["f1"] == pytest.approx(100 * (1 + 2 / 3 + 1) / 4)
    assert (found["HasAns_exact"], found["HasAns_total"]) == (50, 2)
    assert found["HasAns_f1"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert (found["NoAns_exact"], found["NoAns_f1"], found["NoAns_total"]) == (50, 50, 2)
    assert found["value"] == (found["exact"] + found["f1"]) / 2
    assert not [name for name in found if "best" in name]


def test_the_best_threshold_of_squad_v2(scored: Scored, tmp_path: Path) -> None:
    said = {"a": "cat", "b": "big dog", "c": "x", "d": "bird"}
    sure = put(tmp_path / "na", {"else": 0.0, "d": 0.9, "b": 0.5, "a": 0.1, "c": 0.3})
    found = scored("squad_v2", said, QUESTIONS, "--na-prob", str(sure))
    assert (found["best_exact"], found["best_exact_thresh"]) == (75, 0.1), "answer a alone"
    assert (found["best_f1"], found["best_f1_thresh"]) == (75, 0.1), "b gains less than c loses"
    assert found["exact"] == 25, "at a threshold of 1 everything is answered"
    found = scored("squad_v2", said, QUESTIONS, "--na-prob", str(sure), "--na-prob-thresh", "0.5")
    assert (found["exact"], found["NoAns_exact"]) == (50, 50), "d is not answered"


def test_equal_probabilities_are_not_taken_together(scored: Scored, tmp_path: Path) -> None:
    """So the script's best may be one that no threshold gives."""
    sure = put(tmp_path / "na", {"c": 0.5, "a": 0.5, "b": 0.5, "d": 0.9})
    said = {"a": "cat", "b": "dog", "c": "x", "d": "bird"}
    found = scored("squad_v2", said, QUESTIONS, "--na-prob", str(sure), "--na-prob-thresh", "0.5")
    assert (found["f1"], found["best_f1"], found["best_f1_thresh"]) == (75, 75, 0.5)
    sure = put(tmp_path / "na", {"a": 0.5, "c": 0.5, "b": 0.9, "d": 0.9})
    found = scored("squad_v2", said, QUESTIONS, "--na-prob", str(sure), "--na-prob-thresh", "0.5")
    assert (found["f1"], found["best_f1"]) == (50, 75), "a without c is no threshold, and the script takes it"


def test_the_best_may_be_below_a_fixed_threshold(scored: Scored, tmp_path: Path) -> None:
    """An article normalises to no answer, which is right, and the search takes it for an answer."""
    sure = put(tmp_path / "na", {"c": 0.1, "d": 0.2, "a": 0.5, "b": 0.5})
    found = scored("squad_v2", {"a": "cat", "b": "dog", "c": "the", "d": "a"}, QUESTIONS, "--na-prob", str(sure))
    assert (found["f1"], found["best_f1"], found["best_f1_thresh"]) == (100, 50, 0)


@pytest.mark.parametrize("file", ["answer", "probability"])
def test_squad_v2_needs_every_question(
    asked: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], tmp_path: Path, file: str
) -> None:
    said = {"a": "cat", "b": "", "c": "", "d": ""}
    sure = put(tmp_path / "na", {name: 0.5 for name in said if file == "answer" or name not in "bd"})
    if file == "answer":
        del said["b"], said["d"]
    assert main(asked("squad_v2", said, QUESTIONS, "--na-prob", str(sure))) == 2
    assert "has nothing for question b and 1 more" in capsys.readouterr().err


# labels and tags ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_labels_are_lines(scored: Scored, end: str) -> None:
    found = scored("accuracy", end.join(["0", "1 ", "", "1"]), end.join(["0", "1", "", "0", ""]))
    assert (found["accuracy"], found["value"], found["count"]) == (75, 75, 4)


def test_labels_that_are_a_column(scored: Scored, asked: Callable[..., list[str]], tmp_path: Path) -> None:
    gold = "id\tlabel\tsentence\n1\t0\tone\n2\t1\ttwo\n"
    assert scored("accuracy", "0\n0\n", gold, "--column", "label")["accuracy"] == 50
    assert scored("accuracy", "0\tx\n0\tx\n", "0\ty\n1\ty\n", "--column", "1")["accuracy"] == 50
    assert scored("accuracy", "0\tx\n0\tx\n", "0\ty\n1\tx\n")["accuracy"] == 0, "without it, lines as they are"


def test_labels_of_json_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = put(tmp_path / "p.jsonl", '{"label": 0}\n{"label": 1}\n')
    gold = put(tmp_path / "l.jsonl", '{"label": 0, "premise": "x"}\n{"label": 0}\n')
    assert main(["accuracy", "--predictions", str(said), "--references", str(gold)]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 50


def test_tags(scored: Scored) -> None:
    gold, said = "NOUN\nNOUN\nVERB\nCCONJ\nSCONJ\nX\n", "NOUN\nADJ\nVERB\nCCONJ\nSCONJ\nX"
    found = scored("f1", said, gold)
    assert found["f1"] == pytest.approx(100 * 8 / 11)
    assert (found["precision"], found["recall"]) == pytest.approx((100 * 4 / 6, 100 * 4 / 5))
    assert found["token_accuracy"] == pytest.approx(100 * 5 / 6)
    assert {**scored("seqeval_0.0.12", said, gold), "metric": "f1"} == found
    assert scored("f1_seqeval_1.2.2", said, gold)["f1"] == pytest.approx(100 * 4 / 7)


def test_blank_lines_end_sentences(scored: Scored) -> None:
    gold = "B-A\nI-A\n\n\nI-A\n\n"
    found = scored("f1", gold.replace("\n", " \r\n"), gold)
    assert (found["f1"], found["count"]) == (100, 3), "two blank lines have a sentence without words between them"
    assert scored("f1", "B-A\nI-A\n\nI-A\n", "B-A\nI-A\n\nB-A\n")["f1"] == 100, "neither runs on into the next"


def test_tags_that_are_a_column(scored: Scored) -> None:
    assert scored("f1", "B-A\nO\n\nO\n", "en:x\tB-A\n\tO\n\ny\tO\n", "--column", "2")["f1"] == 100


# retrieval ----------------------------------------------------------------------------------------------------------


def test_tatoeba(scored: Scored) -> None:
    found = scored("tatoeba", "[0]\n[2]\n1\n", "0\n2\n0\n")
    assert found["accuracy"] == pytest.approx(200 / 3)
    assert found["bracketed"] == 2


def test_tatoeba_of_embeddings(scored: Scored) -> None:
    english, language = np.eye(3, dtype=np.float32), np.eye(3)[[1, 0, 2]] + 0.1
    language[2] *= 50  # the angle counts, not the length
    assert scored("tatoeba", (english, language), "1\n0\n1\n")["accuracy"] == pytest.approx(200 / 3)
    assert scored("tatoeba", (english, language), "2\t1\n0\t1\n1\t0\n2\t2\n")["accuracy"] == 100


def test_bucc(scored: Scored) -> None:
    found = scored("bucc", "de-1\ten-1\nde-2\ten-2\nde-2\ten-2\nde-3\ten-9\n", "de-1\ten-1\nde-2\ten-2\nde-4\ten-4\n")
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((200 / 3,) * 3)
    assert (found["count"], found["extracted"]) == (3, 3)
    assert scored("bucc", "", "de-1\ten-1\n")["f1"] == 0


def test_bucc_of_embeddings(scored: Scored) -> None:
    rng = np.random.default_rng(0)
    source = rng.uniform(0.1, 1, (30, 6)).astype(np.float32)
    target = np.concatenate([source[:20] + 0.01, rng.uniform(0.1, 1, (10, 6)).astype(np.float32)])
    gold = "".join(f"{row}\t{row}\n" for row in range(0, 20, 2))
    best = scored("bucc", (source, target), gold)
    again = scored("bucc", (source, target), gold, "--threshold", repr(best["threshold"]))
    assert again == best
    assert scored("bucc", (source, target), gold, "--threshold", "9")["f1"] == 0
    assert 0 < best["precision"] < best["recall"] <= 100


def test_ranked_lists(scored: Scored) -> None:
    gold = {"a": ["x", "y"], "b": ["z"], "c": ["x"]}
    said = {"a": ["x", "q", "y"], "b": [f"c{i}" for i in range(20)] + ["z"], "else": ["x"]}
    found = scored("map20", said, gold)
    assert found["map20"] == found["value"] == pytest.approx(100 * ((1 + 2 / 3) / 2 / 3))
    assert (found["count"], found["missing"], found["unknown"]) == (3, 1, 1)
    said["a"] = ["q", "y", "x"]
    assert scored("mrr20", said, gold)["mrr20"] == pytest.approx(100 * (1 / 3 / 3)), "the first gold alone"


def test_ranked_embeddings_go_by_dot_product(scored: Scored) -> None:
    queries, candidates = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [3.0, 3.0], [2.0, 0.0]])
    assert scored("mrr20", (queries, candidates), "0\n")["value"] == pytest.approx(100 / 3)
    assert scored("map20", (queries, candidates), "0\t0\n0\t1\n")["value"] == pytest.approx(100 * (1 + 2 / 3) / 2)


# what is refused ----------------------------------------------------------------------------------------------------

VECTORS = np.ones((2, 3), dtype=np.float32)
MALFORMED: list[tuple[str, Content | tuple[Content, ...], Content, str]] = [
    ("squad_v1", {"a": "x"}, "{", r"gold:1: is not whole JSON"),
    ("squad_v1", {"a": "x"}, {"data": [{"paragraphs": [{}]}]}, r"gold: is not in SQuAD's layout \(KeyError: 'qas'\)"),
    ("squad_v1", {"a": "x"}, squad(**{"a": [3]}), r"gold: is not in SQuAD's layout .*question 'a' is no text"),
    ("squad_v1", {"a": "x"}, {"data": []}, "gold: has no question"),
    ("squad_v1", {"a": "x"}, squad(a=[]), "gold: question a has no answer: only squad_v2 scores that"),
    ("xquad", {"a": "x"}, squad(a=[""]), "gold: has no answers: XTREME takes them out"),
    ("squad_v1", ["x"], squad(a=["x"]), "said0: is not a JSON object of id: a text"),
    ("squad_v1", {"a": ["x"]}, squad(a=["x"]), r"said0: 'a': \['x'\] is not a text"),
    ("mlqa", {"a": "x"}, squad(a=["x"]), "mlqa needs --language"),
    ("accuracy", "a\nb\n", "a\nb\nc\n", r"said0:2: has 2 labels, where .*gold has 3"),
    ("accuracy", "", "", "gold: has no labels"),
    ("accuracy", "a\n", "a\tx\n", "gold: has columns and the other file has none: say with --column"),
    ("accuracy", b"a\n\xff\n", "a\na\n", r"said0:2: is not UTF-8 \(byte 3 of the file\)"),
    ("f1", "A\n\nA\n", "A\n\nA\nB\n", r"said0:3: a sentence of 1 tags begins here, and .*gold:3 one of 2"),
    ("f1", "O\n\nA\n\nA\n", "O\n\nA\nB\n\nA\n", r"said0:3: a sentence of 1 tags begins here, and .*gold:3 one of 2"),
    ("f1", "A\n", "A\n\nA\n", r"said0:1: has 1 sentences, where .*gold has 2"),
    ("f1", "x\tA\n", "A\n", r"said0:1: is not one tag but 'x\\tA'; if it is a column of the line, give --column"),
    ("bucc", "a b\n", "a\tb\n", "said0:1: is not two ids with a tab between them"),
    ("bucc", "a\tb\n", "", "gold: has no pair"),
    ("map20", {"a": "x"}, {"a": ["x"]}, "said0: 'a': 'x' is not a list of ids"),
    ("mrr20", {"a": [1]}, {"a": ["x"]}, r"said0: 'a': \[1\] is not a list of texts"),
    ("map20", {"a": ["x"]}, {"a": []}, "gold: query 'a' has no gold candidate"),
    ("map20", {}, {}, "gold: has no query"),
    ("map20", VECTORS, "0\n", "embeddings come as two files"),
    ("map20", (VECTORS, VECTORS), "0\n", r"gold: query row 1 \(from 0\) has no gold candidate"),
    ("map20", (VECTORS, VECTORS), "0\n7\n", r"gold:2: 1 and 7 are not both there: rows 0 to 1 ask and 0 to 1 are"),
    ("map20", (VECTORS, VECTORS), "0\tx\n", "gold:1: is not a query row and a candidate row"),
    ("map20", (VECTORS, VECTORS[:, :2]), "0\n0\n", r"said1.npy: has vectors of 2 numbers, and .*said0.npy of 3"),
    ("map20", (VECTORS, VECTORS[0]), "0\n0\n", r"said1.npy: is not one vector a row but float32 \[3\]"),
    ("map20", (VECTORS, np.array([[0, 1, np.nan]])), "0\n0\n", r"said1.npy: row 0 \(from 0\) has a value that is not"),
    ("map20", (VECTORS, np.array([["a"]])), "0\n0\n", "said1.npy: is not one vector a row but <U1"),
    ("map20", (VECTORS, np.array([[{}]])), "0\n0\n", "said1.npy: is no array of numpy"),
    ("accurracy", "a\n", "a\n", "no metric 'accurracy'; did you mean 'accuracy'"),
]


@pytest.mark.parametrize(("metric", "predictions", "references", "reason"), MALFORMED)
def test_what_is_malformed_is_said_in_one_line(
    asked: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], metric, predictions, references, reason: str
) -> None:
    assert main(asked(metric, predictions, references)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert re.search(reason, printed.err), printed.err


@pytest.mark.parametrize(
    ("right", "wrong"), [(b"{", b" "), (b"(2, ", b"(02,"), (b"}", b" "), (b"<f4", b"0,1"), (b"2, 3", b"2,-3")]
)
def test_a_broken_array_is_said_in_one_line(
    asked: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], right: bytes, wrong: bytes
) -> None:
    """Its header is Python, and numpy stops at it as Python's tokenizer, its parser or its own types would."""
    arguments = asked("map20", (VECTORS, VECTORS), "0\n0\n")
    path = next(Path(argument) for argument in arguments if argument.endswith(".npy"))
    path.write_bytes(path.read_bytes().replace(right, wrong, 1))
    assert main(arguments) == 2
    assert "is no array of numpy (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metric", "option", "reason"),
    [
        ("accuracy", ["--na-prob", "x"], "accuracy has no --na-prob"),
        ("squad_v1", ["--column", "2"], "squad_v1 has no --column"),
        ("xtreme", ["--threshold", "1"], "xtreme has no --threshold"),
        ("bucc", ["--threshold", "1"], "a file of pairs is cut already"),
        ("accuracy", ["--column", "labell"], "gold:1: has no column 'labell'; did you mean 'label'"),
        ("accuracy", ["--column", "3"], "gold:1: has 2 columns, and column 3 is asked for"),
    ],
)
def test_options_that_do_not_belong(
    asked: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], metric: str, option: list[str], reason: str
) -> None:
    assert main(asked(metric, "label\tx\n", "label\tx\n", *option)) == 2
    assert reason in capsys.readouterr().err


def test_files_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["f1", "--predictions", "nowhere", "--references", "nowhere"]) == 2
    assert capsys.readouterr().err == "error: there is no file nowhere\n"


def test_help_says_of_every_metric_what_it_reads(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, metric in METRICS.items():
        assert f" {name} " in text
        assert metric.predictions in text
        assert metric.references in text
    assert all(name in text for name in SUITES)


def test_as_a_module_without_torch(tmp_path: Path) -> None:
    gold = put(tmp_path / "gold", "a\n")
    code = "import runpy, sys, atexit; atexit.register(lambda: print('torch' in sys.modules)); "
    code += "sys.argv[0] = 'x'; runpy.run_module('xstilts.scoring', run_name='__main__')"
    arguments = ["accuracy", "--predictions", str(gold), "--references", str(gold)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    found, torch = done.stdout.splitlines()
    assert json.loads(found)["value"] == 100
    assert torch == "False"
