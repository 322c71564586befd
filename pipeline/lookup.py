"""Look things up in a finished run: a document's text, a span of it, the places of a passage.

Texts are not in a run. They are read again from the audited files, which must still be there. A
file is known by its fingerprint, which covers its size and its ends, and each text by its length
and its text_id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from xxhash import xxh3_128_intdigest

from pipeline.errors import ArtifactError, ConfigError, InputChangedError, InputError
from pipeline.manifest import read_manifest
from pipeline.normalise import normalised
from pipeline.readers.formats import pieces, read
from pipeline.readers.rows import Columns
from pipeline.stages.inputs import InputFile, check_unchanged, fingerprint, list_files

_WHOLE_FILE = 1 << 62  # a piece that holds it all, whatever the format counts in
_ROW_BITS = 32  # doc_id is file_id << 32 | row


def document_text(run: Path, doc_id: int) -> str:
    """The original text of a document, read from the file it came from.

    Cost: its file is read up to its row. For more than a few documents use `document_texts`.

    Raises:
        ArtifactError: `run` is not a finished run.
        ConfigError: it has no such document.
        InputError: the file cannot be read, is gone, or is not what the run read.
    """
    return document_texts(run, [doc_id])[doc_id]


def document_texts(run: Path, doc_ids: Iterable[int]) -> dict[int, str]:
    """The original texts of documents by their doc_id; each file is read once, up to the last row.

    Raises:
        As `document_text`.
    """
    columns = Columns(text=read_manifest(run)["config"]["text_column"])
    documents = _documents(run, set(doc_ids))
    by_file = defaultdict[int, list[int]](list)
    for doc_id in sorted(documents):
        by_file[doc_id >> _ROW_BITS].append(doc_id)
    inputs = pl.scan_parquet(run / "inputs.parquet").filter(pl.col("file_id").is_in(list(by_file)))
    found: dict[int, str] = {}
    for row in inputs.collect().iter_rows(named=True):
        first, file = row["file_id"] << _ROW_BITS, same_file(row)
        wanted = [doc_id - first for doc_id in by_file[row["file_id"]]]
        texts = dict(_texts(file, columns, wanted))
        for number in wanted:
            found[first + number] = _same_text(
                texts.get(number), *documents[first + number], file.uri, number
            )
        check_unchanged(file)
    return found


def span_text(run: Path, doc_id: int, byte_start: int, byte_end: int) -> str:
    """What stands in bytes [byte_start, byte_end) of a document, as `spans` and `passages` give them.

    Raises:
        ConfigError: the document is shorter, or the span does not begin and end between characters.
        As `document_text`.
    """
    text = document_text(run, doc_id).encode()
    if not 0 <= byte_start <= byte_end <= len(text):
        raise ConfigError(
            f"the span is not within document {doc_id}",
            got=f"bytes {byte_start} to {byte_end}",
            expected=f"0 <= byte_start <= byte_end <= {len(text)}, the length of its text",
        )
    try:
        return text[byte_start:byte_end].decode()
    except UnicodeDecodeError:
        raise ConfigError(
            f"the span cuts a character of document {doc_id}",
            got=f"bytes {byte_start} to {byte_end}",
            expected="offsets between characters, as in the tables spans and passages",
        ) from None


def passage_places(run: Path, passage_id: int) -> pl.DataFrame:
    """Every place of a passage, the copies of documents included: as many rows as occurrences.

    Returns:
        doc_id, uri, row, id, source, token_start, tokens, byte_start, byte_end, by doc_id and
        token_start. Bytes are null in copies of a text but the first, which may be written
        differently.

    Raises:
        ArtifactError: `run` is not a finished run, or one without the passage grain.
        ConfigError: it has no such passage.
    """
    require_passages(run)
    spans = pl.scan_parquet(run / "spans" / "*.parquet").filter(pl.col("passage_id") == _uint64(passage_id))
    places = spans.select(
        "text_id", "token_start", "tokens", "byte_start", "byte_end", first="doc_id"
    ).collect()
    if places.is_empty():
        raise ConfigError("the run has no such passage", where=str(run), got=f"passage_id {passage_id}")
    documents = pl.scan_parquet(run / "documents" / "*.parquet").select(
        "doc_id", "uri", "row", "id", "source", "text_id"
    )
    in_bytes = (
        pl.when(pl.col("doc_id") == pl.col("first")).then(name) for name in ("byte_start", "byte_end")
    )
    return (
        documents.join(places.lazy(), on="text_id")
        .sort("doc_id", "token_start")
        .select("doc_id", "uri", "row", "id", "source", "token_start", "tokens", *in_bytes)
        .collect()
    )


def require_passages(run: Path) -> None:
    """Refuse a run without the tables of the passage grain.

    Raises:
        ArtifactError: it has none, or is not a finished run.
    """
    passages = read_manifest(run)["config"].get("passages", {})
    if not passages.get("enabled", False):
        raise ArtifactError(
            "the run did not look for passages",
            where=str(run),
            fix="audit again with passages.enabled: true",
        )
    for name in ("passages", "spans"):
        if not (run / name).is_dir():
            raise ArtifactError(
                "a folder of the run is missing", where=str(run / name), fix="restore it, or audit again"
            )


def _uint64(value: int) -> pl.Expr:
    return pl.lit(value if 0 <= value < 1 << 64 else None, pl.UInt64)


def _documents(run: Path, doc_ids: set[int]) -> dict[int, tuple[int, int]]:
    # n_bytes and text_id by doc_id; all must be there.
    possible = pl.Series([doc_id for doc_id in doc_ids if 0 <= doc_id < 1 << 64], dtype=pl.UInt64)
    documents = pl.scan_parquet(run / "documents" / "*.parquet").select("doc_id", "n_bytes", "text_id")
    rows = documents.filter(pl.col("doc_id").is_in(possible.implode())).collect()
    missing = sorted(doc_ids - set(rows["doc_id"]))
    if missing:
        raise ConfigError(
            "the run has no such document",
            where=str(run),
            got=f"doc_id {missing[0]}" + (f" and {len(missing) - 1} more" if missing[1:] else ""),
            expected="a doc_id of its documents table",
        )
    return {doc_id: (n_bytes, text_id) for doc_id, n_bytes, text_id in rows.iter_rows()}


def same_file(row: Mapping[str, Any]) -> InputFile:
    """The file of a row of `inputs`, checked to be what the run read.

    Raises:
        InputError: it is gone, or cannot be read. InputChangedError: it is another one.
    """
    file = _listed(row["uri"], row["format"])
    found = fingerprint(file)  # of its size, too
    if found != row["fingerprint"]:
        raise _changed(file.uri, f"fingerprint {found}", f"fingerprint {row['fingerprint']}")
    return file


def _listed(uri: str, format: str) -> InputFile:
    try:
        files = list_files([uri], format).files
    except ConfigError as error:
        raise _gone(uri, error.what) from None
    if [file.uri for file in files] != [uri]:
        raise _gone(uri, "a folder")
    return files[0]


def _gone(uri: str, got: str) -> InputError:
    return InputError(
        "an input file is gone",
        where=uri,
        got=got,
        expected="the file that the run read",
        fix="put it back where it was",
    )


def _same_text(text: bytes | None, n_bytes: int, text_id: int, uri: str, row: int) -> str:
    # A fingerprint covers no more than a file's ends, so what was read is compared with the run, too.
    if text is None:
        raise _changed(uri, "no text", f"{n_bytes} bytes", row)
    if len(text) != n_bytes:
        raise _changed(uri, f"{len(text)} bytes", f"{n_bytes} bytes", row)
    words = text.decode("utf-8", "replace")
    found = xxh3_128_intdigest(normalised(words).encode()) & (1 << 64) - 1
    if found != text_id:
        raise _changed(uri, f"text_id {found}", f"text_id {text_id}", row)
    return words


def _changed(uri: str, got: str, expected: str, row: int | None = None) -> InputChangedError:
    return InputChangedError(
        "an input file is not what the run read",
        where=uri,
        row=row,
        got=got,
        expected=expected,
        fix="audit again, and look things up in the new run",
    )


def _texts(file: InputFile, columns: Columns, rows: list[int]) -> Iterator[tuple[int, bytes]]:
    # Wanted rows with their texts; `rows` ascending.
    wanted, last = set(rows), rows[-1]
    (whole,) = pieces(file.uri, file.format, file.size_bytes, _WHOLE_FILE)
    for batch in read(whole, columns):
        for i, row in enumerate(batch.rows.to_pylist()):
            if row in wanted:
                yield row, batch.texts[i].as_py()
        if batch.n_rows > last:
            return
