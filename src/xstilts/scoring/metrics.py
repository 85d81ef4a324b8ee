"""The metrics of the command line by name, and what `--help` says of their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from xstilts.scoring.answers import squad, squad_v2
from xstilts.scoring.asked import Asked, Found
from xstilts.scoring.labelled import labels, tags
from xstilts.scoring.retrieved import bucc, map20, mrr20, tatoeba


@dataclass(frozen=True)
class Metric:
    """A metric of the command line, and what `--help` says of its files."""

    score: Callable[[Asked], Found]
    predictions: str
    references: str
    options: frozenset[str] = field(default_factory=frozenset)  # of Asked, beside files and language


COLUMN = frozenset({"column"})
SQUAD = "JSON in SQuAD's layout; a question may have several answers"
SAID = 'JSON object {"question id": "text", ...}'
LABELS = "one label a line; in .jsonl an object a line with the field label; with --column a column of a .tsv"
TAGGED = "one tag a line, a blank line between sentences; with --column a column of a .tsv"
RANKED = 'JSON object {"query id": ["candidate id", ...]}, '
EMBEDDED = "two files QUERIES.npy CANDIDATES.npy, a vector a row"
ROWS = "lines `query row<TAB>candidate row` from 0, several lines a query if it has several golds"
METRICS: dict[str, Metric] = {
    "squad_v1": Metric(squad("squad-1.1"), SAID, SQUAD),
    "squad_v2": Metric(
        squad_v2, SAID + "; the empty text says there is no answer", SQUAD, frozenset({"na_prob", "na_prob_thresh"})
    ),
    "xquad": Metric(squad("squad-1.1"), SAID, SQUAD),
    "tydiqa": Metric(squad("squad-1.1"), SAID, SQUAD),
    "mlqa": Metric(squad("mlqa"), SAID, SQUAD),
    "accuracy": Metric(labels, LABELS, "the same", COLUMN),
    "seqeval_0.0.12": Metric(tags("seqeval-0.0.12"), TAGGED, "the same", COLUMN),
    "f1": Metric(tags("seqeval-0.0.12"), TAGGED, "the same; another name of seqeval_0.0.12", COLUMN),
    "f1_seqeval_1.2.2": Metric(tags("seqeval-1.2.2"), TAGGED, "the same", COLUMN),
    "tatoeba": Metric(
        tatoeba,
        "line i has the row that was found for English sentence i; or " + EMBEDDED + ", English asks, by cosine",
        "line i has the right row number, from 0; for embeddings also " + ROWS,
    ),
    "bucc": Metric(
        bucc,
        "lines `source id<TAB>target id` of the pairs that were extracted; or " + EMBEDDED + ", mined by ratio margin",
        "lines `source id<TAB>target id` of the gold pairs; for embeddings the row numbers, from 0",
        frozenset({"threshold"}),
    ),
    "map20": Metric(
        map20,
        RANKED + "the best first; or " + EMBEDDED + ", by dot product as they are",
        RANKED + "all that are right; for embeddings " + ROWS,
    ),
    "mrr20": Metric(
        mrr20,
        RANKED + "the best first; or " + EMBEDDED + ", by dot product as they are",
        RANKED + "the first one counts; for embeddings " + ROWS,
    ),
}
