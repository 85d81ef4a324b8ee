"""Predictions made elsewhere, scored: `python -m xstilts.scoring METRIC --predictions FILE --references FILE`."""

from __future__ import annotations

import argparse
import json
import math
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xstilts.errors import UserError, choices
from xstilts.scoring.asked import Asked
from xstilts.scoring.metrics import METRICS
from xstilts.scoring.submission import LAYOUT, SUITES, score

OPTIONS = {"column": None, "na_prob": None, "na_prob_thresh": 1.0, "threshold": None}  # and what they are if not given


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one JSON object, in which what cannot be said is null. 2 is a mistake of the user's, said in one line."""
    given = _parser().parse_args(arguments)
    try:
        print(json.dumps(_plain(_found(given)), ensure_ascii=False, allow_nan=False))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _found(given: argparse.Namespace) -> dict[str, Any]:
    options = {name: getattr(given, name) for name, default in OPTIONS.items() if getattr(given, name) != default}
    known = METRICS[given.metric].options if given.metric in METRICS else frozenset()
    if given.metric not in METRICS and given.metric not in SUITES:
        raise UserError(f"no metric {given.metric!r}; {choices(given.metric, [*METRICS, *SUITES])}")
    for name in options.keys() - known:
        raise UserError(f"{given.metric} has no --{name.replace('_', '-')}")
    if given.metric in SUITES:
        asked = Asked(given.predictions, given.references)
        return score(given.metric, asked.file, given.references)
    asked = Asked(given.predictions, given.references, given.language, **options)
    language = {"language": given.language} if given.language else {}
    return {"metric": given.metric, **language, **METRICS[given.metric].score(asked)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m xstilts.scoring",
        description="Score predictions that were made elsewhere, to the digit of the official scripts, in percent.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("metric", metavar="METRIC", help="one of those below")
    files: dict[str, Any] = {"type": Path, "metavar": "FILE"}
    parser.add_argument(
        "--predictions", nargs="+", required=True, help="a file, two of embeddings, or a folder", **files
    )
    parser.add_argument("--references", required=True, help="a file, or a folder", **files)
    parser.add_argument("--language", metavar="xx", help="of the contexts; decides in mlqa, which needs it")
    parser.add_argument("--column", help="of tab-separated lines: its number from 1, or its name in the first line")
    parser.add_argument("--na-prob", **files, help='JSON object {"question id": probability of none}')
    parser.add_argument("--na-prob-thresh", type=float, default=1.0, metavar="P", help="no answer above it (default 1)")
    parser.add_argument("--threshold", type=float, metavar="MARGIN", help="of pairs to extract (default: the best)")
    return parser


def _epilog() -> str:
    parts = ["metrics, and what is in their files (UTF-8):"]
    for name, metric in METRICS.items():
        options = "".join(f" [--{option.replace('_', '-')}]" for option in sorted(metric.options))
        needed = " --language xx" if name == "mlqa" else ""
        parts.append(f"  {name}{needed}{options}")
        for what, text in (("predictions", metric.predictions), ("references", metric.references)):
            parts += textwrap.wrap(f"{what}: {text}", 112, initial_indent="      ", subsequent_indent=" " * 10)
    parts += ["", "whole submissions: " + ", ".join(SUITES), textwrap.indent(LAYOUT, "      ")]
    parts += ["", "docs/scoring.md says what is printed, and where the official scripts differ from each other."]
    return "\n".join(parts)


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(main())
