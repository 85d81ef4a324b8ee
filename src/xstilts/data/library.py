"""The library: the one directory that every stage reads data and weights from, whatever world they came from.

    LIB/data/<task>/<language>/<split>.parquet     one part, in the columns of the task's format
    LIB/data/<task>/manifest.json                  written last: a task without it is not there
    LIB/models/<model>/                            config.json, model.safetensors, tokenizer files, as Hugging Face lays
    LIB/models/<model>/manifest.json               them out; config and weights only where there are weights

The same content gives the same bytes. What enters the identity of a stage is the hash of the *content*, not of the
file, so that another version of the Parquet writer does not make another experiment.

Manifests are read without pyarrow or torch, since planning reads them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xstilts.data.digest import digest, file_digest, tokenizer_digest
from xstilts.errors import DataError, UserError
from xstilts.files import folder, read_json, write_bytes, write_json

if TYPE_CHECKING:
    import pyarrow as pa

    from xstilts.task import Task


class Library:
    """The library under `root`, which need not exist before something is written."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._written: dict[str, dict[str, dict[str, Any]]] = {}  # task -> part -> rows and sha256, until `finish`

    # reading ----------------------------------------------------------------------------------------------------

    def manifest(self, task: str) -> dict[str, Any] | None:
        """What is known of a filled task: task, format, world, source, complete, files, missing; None if not filled."""
        return _manifest(self.root / "data" / task / "manifest.json")

    def model_manifest(self, model: str) -> dict[str, Any] | None:
        """Of a model: model, world, source, weights (sha256 or None), tokenizer (sha256), vocabulary (rows)."""
        return _manifest(self.model_folder(model) / "manifest.json")

    def model_folder(self, model: str) -> Path:
        return self.root / "models" / model

    def path(self, task: str, part: str) -> Path:
        """Where a part such as `en/train` lies, or would lie."""
        return self.root / "data" / task / f"{part}.parquet"

    def read(self, task: str, part: str) -> pa.Table:
        """All rows of a part, in order.

        Raises `UserError` when the library does not have the part, `DataError` when its file is not what was written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        manifest = self.manifest(task)
        if manifest is None or part not in manifest["files"]:
            raise UserError(f"the library {self.root} has no part {part} of {task}; `do=fetch` fills it")
        path = self.path(task, part)
        try:
            table = pq.read_table(path, partitioning=None, memory_map=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(path, f"is not whole Parquet ({_first_line(error)}); delete it and fetch again") from None
        if digest(table) != manifest["files"][part]["sha256"]:
            raise DataError(path, "is not the content its manifest records; delete it and fetch again")
        return table

    # writing ----------------------------------------------------------------------------------------------------

    def write(self, task: Task, part: str, table: pa.Table) -> None:
        """Put a part into the library, whole or not at all; it counts once `finish` has recorded it.

        Raises `DataError` naming the part when a row is not what the task's format asks for.
        """
        import pyarrow.parquet as pq
        from pyarrow import BufferOutputStream

        from xstilts import formats

        path = self.path(task.name, part)
        form = formats.get(task.format)
        table = _checked(table, form.columns, path)
        try:
            form.check(table, task)
        except ValueError as error:
            raise DataError(path, str(error)) from None
        known = {"rows": table.num_rows, "sha256": digest(table)}
        manifest = self.manifest(task.name)
        if manifest and manifest["files"].get(part, {}).get("sha256") not in (None, known["sha256"]):
            (path.parent.parent / "manifest.json").unlink(missing_ok=True)  # no longer true, from the next line on
        buffer = BufferOutputStream()
        pq.write_table(table, buffer, compression="zstd", row_group_size=1 << 16, use_compliant_nested_type=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, buffer.getvalue().to_pybytes())
        self._written.setdefault(task.name, {})[part] = known

    def finish(
        self, task: Task, source: Mapping[str, Any], world: str, complete: bool, missing: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Record what was written of a task since the last `finish`, and drop what an earlier filling left.

        `source` says what it was filled from and is compared to tell whether it is stale. Returns the manifest.
        """
        written = self._written.pop(task.name, {})
        files = {part: {**written[part], "expected": task.counts.get(part)} for part in sorted(written)}
        place = self.root / "data" / task.name
        manifest = {
            "task": task.name,
            "format": task.format,
            "world": world,
            "source": dict(source),
            "complete": complete,
            "files": files,
            "missing": sorted(missing),
        }
        place.mkdir(parents=True, exist_ok=True)
        write_json(place / "manifest.json", manifest)
        for path in place.glob("*/*.parquet"):
            if f"{path.parent.name}/{path.stem}" not in files:
                path.unlink(missing_ok=True)
        return manifest

    @contextmanager
    def write_model(
        self, model: str, source: Mapping[str, Any], world: str, vocabulary: int | None = None
    ) -> Iterator[Path]:
        """A folder to put a model's files in; it becomes the library's, with its manifest, when the block ends well.

        `vocabulary` is the number of rows the tokenizer needs; None counts them by loading the tokenizer.
        """
        place = self.model_folder(model)
        place.parent.mkdir(parents=True, exist_ok=True)
        with folder(place) as temporary:
            yield temporary
            weights = temporary / "model.safetensors"
            manifest = {
                "model": model,
                "world": world,
                "source": dict(source),
                "weights": file_digest(weights) if weights.exists() else None,
                "tokenizer": tokenizer_digest(temporary),
                "vocabulary": vocabulary if vocabulary is not None else _vocabulary(temporary),
            }
            write_json(temporary / "manifest.json", manifest)

    def forget(self, task: str) -> None:
        """Delete all of a task."""
        self._written.pop(task, None)
        shutil.rmtree(self.root / "data" / task, ignore_errors=True)


def _vocabulary(place: Path) -> int:
    from xstilts.model import tokenizer

    return len(tokenizer.load(place))


def _checked(table: pa.Table, columns: pa.Schema, path: Path) -> pa.Table:
    """The table in one chunk and the format's schema, when it is one of that format."""
    if not table.schema.equals(columns):
        raise DataError(path, f"has the columns {_columns(table.schema)}; its format has {_columns(columns)}")
    if table.num_rows == 0:
        raise DataError(path, "has no items")
    for field in columns:
        if not field.nullable and table[field.name].null_count:
            raise DataError(path, f"has rows without {field.name}")
    seen: set[str | None] = {None}
    for row, name in enumerate(table["id"].to_pylist()):
        if name in seen:
            raise DataError(path, f"row {row} has no id" if name is None else f"the id {name!r} is there twice")
        seen.add(name)
    return table.combine_chunks().replace_schema_metadata(None)


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{f.name}: {f.type}{'' if f.nullable else ' not null'}" for f in schema)


def _manifest(path: Path) -> dict[str, Any] | None:
    try:
        value = read_json(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(path, f"is not a manifest ({error}); delete it and fetch again") from None
    return value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
