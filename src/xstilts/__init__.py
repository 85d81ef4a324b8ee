"""xstilts: intermediate-task training at scale, swept over XTREME-R.

Two wings meet only at the store: orchestration (`config`, `task`, `stage`, `store`, `sweep`, `results`) never imports
torch; work (`formats`, `data`, `model`, `work`) never learns what a cluster is.
"""

__version__ = "0.1.0"
