"""What a person wants scored: files of predictions and references, and how they are to be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstilts.errors import DataError, UserError

#: What a metric gives, JSON values: `version`, `value`, which tables show, `count`, and the official script's names.
#: In percent.
Found = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a person wants scored."""

    predictions: list[Path]  # one file, or two of embeddings
    references: Path
    language: str | None = None
    column: str | None = None
    na_prob: Path | None = None
    na_prob_thresh: float = 1.0
    threshold: float | None = None

    @property
    def file(self) -> Path:
        """The predictions, where they are one file."""
        if len(self.predictions) != 1:
            raise UserError(f"--predictions has {len(self.predictions)} files, and this metric reads one")
        return self.predictions[0]

    @property
    def arrays(self) -> bool:
        """Whether the predictions are embeddings."""
        return any(path.suffix == ".npy" for path in self.predictions)

    def paired(self, what: str, said: int, golds: int, line: int) -> None:
        """Refuse more or fewer predictions than references, as XTREME does; `line` is where the shorter ends."""
        if not golds:
            raise DataError(self.references, f"has no {what}")
        if said != golds:
            raise DataError(self.file, f"has {said} {what}, where {self.references} has {golds}", line)
