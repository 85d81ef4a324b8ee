"""From the command line to Hydra and back: the checks before it, the exit status after it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from omegaconf import DictConfig

from xstilts.config import GROUPS, Do
from xstilts.errors import UserError
from xstilts.task import CONF


def main(argv: list[str]) -> int:
    """What `launch.py` does; gives 0 well, 1 a stage failed, 2 a mistake in what was typed, 130 stopped."""
    import hydra

    from xstilts.sweep.check import check

    if not argv:
        print(menu())
        return 0
    # Workers and foreign launchers start fresh interpreters, which must find this code without an installation.
    source = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    try:
        sys.argv[1:] = check(argv)
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(run_cell)()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def run_cell(config: DictConfig) -> None:
    """One cell in this process: what a foreign launcher (joblib, submitit) calls. Raises when a stage fails."""
    from hydra.core.hydra_config import HydraConfig

    from xstilts.sweep.single import run

    run(list(HydraConfig.get().overrides.task))


def menu() -> str:
    """What can be done, for a bare `python launch.py`."""
    lines = ["python launch.py [-m] KEY=VALUE[,VALUE...] ... [do=VERB]", "", "choices (a comma list sweeps):"]
    for group in (*GROUPS, "experiment"):
        names = sorted(p.stem for p in (CONF / group).glob("*.yaml"))
        lines.append(f"  {group:<11} {' '.join(names)}")
    lines += ["", "verbs:", *(f"  do={verb.name:<8} {verb.value}" for verb in Do), ""]
    lines += [
        "for example:",
        "  python launch.py experiment=demo                               # a synthetic world, on any laptop",
        "  python launch.py -m model=base,large,xl inter=mnli,squad do=plan",
        "  python launch.py model=large inter=mnli target=tydiqa recipe.target.lr=2e-5",
        "  python launch.py --help, --cfg job                             # Hydra's own",
    ]
    return "\n".join(lines)
