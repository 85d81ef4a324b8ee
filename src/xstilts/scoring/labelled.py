"""Labels and tags from files: accuracy, and chunk F1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xstilts.errors import DataError
from xstilts.scoring import inputs
from xstilts.scoring.accuracy import VERSION, accuracy
from xstilts.scoring.asked import Asked, Found
from xstilts.scoring.tags import Version, chunk_score, token_accuracy


def labels(asked: Asked) -> Found:
    """XTREME's accuracy: lines that are equal."""
    golds, said = (inputs.labels(path, asked.column) for path in (asked.references, asked.file))
    columned = [any("\t" in label for label in found) for found in (golds, said)]
    if columned[0] != columned[1]:
        which = asked.references if columned[0] else asked.file
        raise DataError(which, "has columns and the other file has none: say with --column which one is the label")
    asked.paired("labels", len(said), len(golds), min(len(said), len(golds)))
    value = accuracy(np.array(golds, object), np.array(said, object))
    return {"version": VERSION, "value": value, "accuracy": value, "count": len(golds)}


def tags(version: Version) -> Callable[[Asked], Found]:
    """Chunk F1 as one of the seqevals has it."""

    def score(asked: Asked) -> Found:
        gold, said = (inputs.tags(path, asked.column) for path in (asked.references, asked.file))
        for at, (wanted, found) in enumerate(zip(gold.sentences, said.sentences, strict=False)):
            if len(wanted) != len(found):
                reason = f"a sentence of {len(found)} tags begins here, and {asked.references}:{gold.lines[at]} one of"
                raise DataError(asked.file, f"{reason} {len(wanted)}", said.lines[at])
        asked.paired("sentences", len(said.sentences), len(gold.sentences), said.end)
        result = chunk_score(gold.sentences, said.sentences, version)
        return {
            "version": version,
            "value": result.f1,
            "f1": result.f1,
            "precision": result.precision,
            "recall": result.recall,
            "token_accuracy": token_accuracy(gold.sentences, said.sentences),
            "count": len(gold.sentences),
        }

    return score
