"""Several processes that do one stage, or call one function, together, as torchrun would start them."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from xstilts.model.parallel import Place
from xstilts.store import Folder

#: Imports torch and transformers once, for all ranks of all tests.
_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["xstilts.work.run", "xstilts.work.train", "transformers.models.xlm_roberta"])


def start(folder: Folder, size: int, outputs: Path) -> list[BaseProcess]:
    """The ranks of a stage; what each prints goes to a file of `outputs`."""
    port = _port()
    outputs.mkdir(parents=True, exist_ok=True)
    processes = []
    for rank in range(size):
        said = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        variables = {name: str(value) for name, value in said.items()}
        process = _FORKS.Process(target=_rank, args=(variables, folder.root, outputs / f"{rank}.txt"), daemon=True)
        process.start()
        processes.append(process)
    return processes


def call(function: Callable[[Place, Path], None], size: int, folder: Path) -> list[BaseProcess]:
    """Ranks that each call a function with their place, and a folder to write into."""
    port = _port()
    processes = []
    for rank in range(size):
        place = Place(rank, size, rank, "127.0.0.1", port)
        processes.append(_FORKS.Process(target=function, args=(place, folder), daemon=True))
        processes[-1].start()
    return processes


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ended(processes: list[BaseProcess], seconds: float = 120) -> list[int | None]:
    """The exit status of every rank; None for one that did not end, and is killed."""
    for process in processes:
        process.join(seconds)
    found = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return found


def _rank(variables: dict[str, str], stage: Path, output: Path) -> None:
    os.environ.update(variables)
    file = output.open("a", buffering=1)
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    sys.stdout = sys.stderr = file
    from xstilts.work.run import main

    sys.exit(main([str(stage)]))
