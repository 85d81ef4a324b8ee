"""Hashes of what the library holds: of a table's content, of a file, of a tokenizer.

pyarrow is imported where it is used: orchestration reads manifests, and these hashes in them, without it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

NOT_TOKENIZER = {"config.json", "model.safetensors", "manifest.json"}  # of a model folder


def digest(table: pa.Table) -> str:
    """Hash of a table's content: names, types, values; not of chunks, offsets or file layout."""
    sha = hashlib.sha256(json.dumps([table.num_rows, *table.column_names]).encode())
    for column in table.columns:
        _feed(sha, column.combine_chunks())
    return sha.hexdigest()


def _feed(sha: Any, array: pa.Array) -> None:
    """Add an array's values to a hash, type by type, with nulls told from empty values."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.ChunkedArray):  # combine_chunks leaves several where one would pass 2 GiB
        array = pa.concat_arrays([c.cast(pa.large_string()) for c in array.chunks])
    kind = "string" if pa.types.is_large_string(array.type) else _name(array.type)
    sha.update(f"{kind} {len(array)};".encode())
    sha.update(np.packbits(np.asarray(array.is_valid())).tobytes())
    if pa.types.is_struct(array.type):
        for name, child in zip(array.type.names, array.flatten(), strict=True):
            sha.update(name.encode())
            _feed(sha, child)
    elif pa.types.is_list(array.type):
        sha.update(np.asarray(pc.fill_null(pc.list_value_length(array), 0), dtype="<i8").tobytes())
        _feed(sha, array.flatten())
    elif kind == "string":
        filled = pc.fill_null(array, "").cast(pa.large_string())
        sha.update(np.asarray(pc.binary_length(filled), dtype="<i8").tobytes())
        _, offsets, data = filled.buffers()
        ends = np.frombuffer(offsets, "<i8")[filled.offset : filled.offset + len(filled) + 1]
        if data is not None and len(ends):
            sha.update(memoryview(data)[ends[0] : ends[-1]])
    else:
        values = np.asarray(pc.fill_null(array, pa.scalar(0).cast(array.type)))
        sha.update(values.astype(values.dtype.newbyteorder("<")).tobytes())


def _name(kind: pa.DataType) -> str:
    """A type's name without the names Parquet versions give to list items."""
    import pyarrow as pa

    return "list" if pa.types.is_list(kind) else "struct" if pa.types.is_struct(kind) else str(kind)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tokenizer_digest(place: Path) -> str:
    """SHA-256 of all of a model folder that is neither its configuration nor its weights."""
    sha = hashlib.sha256()
    for path in sorted(place.iterdir()):
        if path.name not in NOT_TOKENIZER:
            sha.update(f"{path.name} {file_digest(path)}\n".encode())
    return sha.hexdigest()
