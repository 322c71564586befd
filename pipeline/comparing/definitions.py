"""Whether two runs measured the same thing, told from their manifests.

What a figure means is decided by the definitions of near and of a passage, by how texts are
normalised and hashed, and by the versions of the tables. Where one of these differs, no figure can be
compared, and the runs are refused. What only some columns depend on (the mixture, where sources
come from) leaves these columns out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ArtifactError
from pipeline.readers.wording import printable
from pipeline.schemas import TABLES

Manifest = Mapping[str, Any]

# near.recall is not among them: it is a way to ask for bands and rows, which a manifest always has.
_NEAR = ("threshold", "floor", "shingle_tokens", "permutations", "seed", "bands", "rows")
_PASSAGES = ("enabled", "min_tokens")
_WHOLE_RUN = ("format_version", "signature_scheme", "unicode_version")


@dataclass(frozen=True)
class Comparable:
    """What of two runs can be compared.

    Attributes:
        exposures: whether exposures can. sources: whether figures of sources can.
        crossing: whether counts of what stands in several sources can.
        passages: whether both runs looked for passages.
        notes: what is left out, and what else differs, in sentences.
    """

    exposures: bool
    sources: bool
    crossing: bool
    passages: bool
    notes: tuple[str, ...]


def comparable(before: Manifest, after: Manifest, where: Path) -> Comparable:
    """What can be compared.

    Args:
        before, after: manifests of two runs. where: the second run, for messages.

    Raises:
        ArtifactError: the runs define what they count differently; all such fields are named.
    """
    _refuse_other_definitions(before, after, where)
    old, new = before["config"], after["config"]
    same_source, same_licence = (old[name] == new[name] for name in ("source", "licence_column"))
    mixture = _mixture(old)
    # Without epochs of its own, it does not matter which source a document has.
    exposures = mixture == _mixture(new) and (same_source or mixture == ({}, None))
    notes = []
    if not (same_source and same_licence):
        fields = [name for name in ("source", "licence_column") if old[name] != new[name]]
        notes.append(f"Figures by source are not compared: {_differ(fields, old, new)}.")
    if not same_source:
        notes.append("Nor is what stands in more than one source.")
    if not exposures:
        fields = [name for name in ("mixture", "model", "source") if old[name] != new[name]]
        notes.append(f"Exposures are not compared, since these differ: {', '.join(fields)}.")
    if old["text_column"] != new["text_column"]:
        notes.append(f"Texts come from another column: {_differ(['text_column'], old, new)}.")
    return Comparable(
        exposures,
        same_source and same_licence,
        same_source,
        bool(old.get("passages", {}).get("enabled")),
        tuple(notes),
    )


def _differ(fields: list[str], old: Manifest, new: Manifest) -> str:
    shown = (f"{name} was {_shown(old[name])}, is {_shown(new[name])}" for name in fields)
    return "; ".join(shown)


def _shown(value: object) -> str:
    return "not set" if value is None else printable(str(value), 80)


def _mixture(config: Manifest) -> tuple[dict[str, float], tuple[Any, ...] | None]:
    # Epochs of one are what a source has anyway; weights turn into epochs by what `model` says.
    mixture, model = config["mixture"], config["model"]
    epochs = {name: value for name, value in mixture["epochs"].items() if value != 1}
    if mixture["weights"] is None:
        return epochs, None
    total = sum(mixture["weights"].values())
    shares = {name: weight / total for name, weight in mixture["weights"].items()}
    return epochs, (shares, model["training_tokens"], model["tokens_per_word"])


def _refuse_other_definitions(before: Manifest, after: Manifest, where: Path) -> None:
    was, now = _definitions(before), _definitions(after)
    differ = [name for name in was if was[name] != now[name]]
    if differ:
        raise ArtifactError(
            "the two runs do not mean the same by their figures",
            where=str(where),
            got=", ".join(f"{name} {_shown(now[name])}" for name in differ),
            expected=", ".join(f"{name} {_shown(was[name])}" for name in differ) + ", as in the other run",
            fix="audit one of them again with the configuration and version of the other",
        )
    # Both alike, but not as this version writes them.
    for table in TABLES:
        found = now[f"table_versions.{table.name}"]
        if found != table.version:
            raise ArtifactError(
                f"table {table.name} is of another version",
                where=str(where),
                got=f"version {found}",
                expected=f"version {table.version}",
                fix="audit again with this version",
            )


def _definitions(manifest: Manifest) -> dict[str, object]:
    config = manifest["config"]
    near, passages = config["near"], config.get("passages", {})
    names = sorted(table.name for table in TABLES)
    return {
        **{name: manifest.get(name) for name in _WHOLE_RUN},
        **{f"table_versions.{name}": manifest.get("table_versions", {}).get(name) for name in names},
        **{f"near.{name}": near.get(name) for name in _NEAR},
        **{f"passages.{name}": passages.get(name) for name in _PASSAGES},
    }
