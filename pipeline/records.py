"""What a task gave, as JSON beside checksums of the files it wrote.

A record is written when its files are on disk, under a temporary name that is then replaced: whoever
finds one knows that the task was finished, and, having compared the checksums, that nothing has
happened to its files since. So a kill at any moment, also one that takes the power away, costs no more
than the tasks that were under way.

JSON and not pickle: what is read back is data, whoever wrote it.
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray
from pydantic import BaseModel

from pipeline import errors
from pipeline.artifacts import write_text
from pipeline.errors import ArtifactError, AuditError
from pipeline.readers.wording import printable

_CHUNK_BYTES = 1 << 17  # of a larger chunk the system hands out the memory anew: 0.6 as fast (measured)
_HALVES = re.compile("[\ud800-\udfff]")
Checksum = tuple[int, str]  # of a file: size and XXH3-64 in hex
Checksums = dict[str, Checksum]  # by path in a folder


def encoded(value: Any) -> Any:
    """A value of a task (arguments or result) as JSON can hold it; equal values become equal JSON.

    What JSON has no words for is a list of its kind and what makes it.

    Raises:
        TypeError: it is of a kind that tasks do not exchange.
    """
    if value is None or type(value) in (bool, int, float):
        return value
    if type(value) in _ENCODERS:
        return _ENCODERS[type(value)](value)
    if isinstance(value, AuditError):
        fields = {name: encoded(field) for name, field in value.__dict__.items() if field is not None}
        return ["error", type(value).__name__, fields]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: encoded(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return ["value", f"{type(value).__module__}:{type(value).__qualname__}", fields]
    return _encoded_other(value)


def _encoded_other(value: Any) -> Any:
    if isinstance(value, np.generic):
        return encoded(value.item())
    if isinstance(value, Path):
        return ["path", _encoded_text(str(value))]
    if isinstance(value, BaseModel):  # only ever an argument
        return ["model", type(value).__name__, value.model_dump(mode="json")]
    raise TypeError(f"tasks do not exchange a {type(value).__qualname__}")


def _encoded_text(value: str) -> Any:
    # Of two halves of a pair, each alone in Python, JSON would make the one character they stand for.
    return ["text", [ord(character) for character in value]] if _HALVES.search(value) else value


def _encoded_array(value: NDArray[Any]) -> Any:
    if value.dtype.kind not in "biuf":
        raise TypeError(f"tasks do not exchange an array of {value.dtype}")
    data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
    return ["array", value.dtype.str, list(value.shape), data]


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    str: _encoded_text,
    list: lambda value: ["list", [encoded(item) for item in value]],
    tuple: lambda value: ["tuple", [encoded(item) for item in value]],
    dict: lambda value: ["map", [[encoded(key), encoded(below)] for key, below in value.items()]],
    np.ndarray: _encoded_array,
}


def decoded(value: Any) -> Any:
    """The value that `encoded` made JSON of.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, ImportError: nothing that `encoded` makes.
    """
    if not isinstance(value, list):
        return value
    kind, *parts = value
    return _DECODERS[kind](*parts)


def _decoded_array(kind: str, shape: Sequence[int], data: str) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(data), np.dtype(kind)).reshape(shape).copy()


def _decoded_error(name: str, fields: Mapping[str, Any]) -> AuditError:
    kind = getattr(errors, name)
    if not issubclass(kind, AuditError):
        raise ValueError(f"{name} is no error of this program")
    found = {field: decoded(below) for field, below in fields.items()}
    error: AuditError = kind(found["what"])
    error.__dict__.update(found)
    return error


def _decoded_value(name: str, fields: Mapping[str, Any]) -> Any:
    module, _, path = name.partition(":")
    if not module.startswith("pipeline."):
        raise ValueError(f"{name} is no class of this program")
    found: Any = getattr(importlib.import_module(module), path)
    if not dataclasses.is_dataclass(found):
        raise ValueError(f"{name} is no value")
    made: Any = found
    return made(**{field: decoded(below) for field, below in fields.items()})


_DECODERS: dict[str, Callable[..., Any]] = {
    "list": lambda items: [decoded(item) for item in items],
    "tuple": lambda items: tuple(decoded(item) for item in items),
    "map": lambda items: {decoded(key): decoded(below) for key, below in items},
    "text": lambda characters: "".join(map(chr, characters)),
    "array": _decoded_array,
    "path": lambda value: Path(decoded(value)),
    "error": _decoded_error,
    "value": _decoded_value,
}


def digest(value: Any) -> str:
    """XXH3-128, in hex, of a value of a task; the same in every process."""
    text = json.dumps(encoded(value), sort_keys=True, ensure_ascii=True, allow_nan=True)
    return xxhash.xxh3_128_hexdigest(text.encode("ascii"))


def checksums(paths: Iterable[str | Path], folder: Path) -> Checksums:
    """Sizes and checksums of files in a folder. A path that stands there twice counts once."""
    return {str(Path(path).relative_to(folder)): _checksum(Path(path)) for path in dict.fromkeys(paths)}


def _checksum(path: Path) -> Checksum:
    hashed, size = xxhash.xxh3_64(), 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            hashed.update(chunk)
            size += len(chunk)
    return size, hashed.hexdigest()


def damaged(known: Checksums, folder: Path) -> str | None:
    """What is wrong with the first file that is not what its checksum says; None if all are."""
    for name, (size, checksum) in known.items():
        path = folder / name
        try:
            found_size, found = _checksum(path)
        except OSError as error:
            return f"{printable(str(path), 1000)}: {error.strerror or error}"
        if found_size != size:
            return f"{printable(str(path), 1000)}: {found_size:,} bytes instead of {size:,}"
        if found != checksum:
            return f"{printable(str(path), 1000)}: checksum {found} instead of {checksum}"
    return None


def write_record(path: Path, known: Checksums, **values: Any) -> None:
    """Write a record: checksums of files, and whatever else is to be known of them."""
    body = json.dumps({"files": known, "is": encoded(values)}, ensure_ascii=True, allow_nan=True)
    seal = xxhash.xxh3_64_hexdigest(body.encode("ascii"))
    write_text(f"{seal}\n{body}\n", path)


def read_record(path: Path) -> tuple[Checksums, dict[str, Any]] | None:
    """A record's checksums and values; None if there is none.

    Raises:
        ArtifactError: it is damaged.
    """
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    seal, _, body = text.partition("\n")
    body = body.removesuffix("\n")
    if xxhash.xxh3_64_hexdigest(body.encode("ascii")) != seal:
        raise _unreadable(path, "its checksum is another")
    try:
        found = json.loads(body)
        known = {name: (int(size), str(checksum)) for name, (size, checksum) in found["files"].items()}
        return known, decoded(found["is"])
    except (ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, got: object) -> ArtifactError:
    return ArtifactError(
        "a record of finished work is damaged",
        where=printable(str(path), 1000),
        got=got,
        fix="run the audit again: what it speaks of is made anew",
    )
