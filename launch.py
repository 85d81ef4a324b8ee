"""The entry: `python launch.py -m model=base,large inter=mnli,squad`. Checks what was typed, then calls Hydra."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))  # a fresh clone runs without installation

from xstilts.sweep.entry import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
