"""What a comparison of two runs prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import schemas
from pipeline.compare import compare_runs
from pipeline.comparing.tables import COMPARISONS
from pipeline.errors import ArtifactError
from tests.audits import Audited
from tests.comparing.planted import Corpus, audit_sources, copied, planted_runs, words


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Audited, Audited]:
    """Two runs, the second of a corpus that differs as planted."""
    return planted_runs(tmp_path_factory.mktemp("compare"))


def test_words_tell_worst_changes_first(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    text = compare_runs(pair[0].folder, pair[1].folder, tmp_path, 2)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[1] == "monday -> tuesday"
    assert "Corpus: 21 documents (+4)" in text
    worse, better = (
        next(i for i, x in enumerate(lines) if x.startswith(f"{w}:")) for w in ("worse", "better")
    )
    assert worse < better
    assert lines[worse + 2 : worse + 4] == ["cross source clusters 0 1 +1", "cross source passages 0 1 +1"]
    assert "near surplus documents 12 16 +4" in lines[worse:better]
    assert lines[better - 2].startswith("near repeated tokens fraction")
    (sources,) = (i for i, line in enumerate(lines) if line.startswith("source (worst first)"))
    assert [line.split()[-2:] for line in lines[sources + 2 : sources + 5]] == [
        ["+7", "+7"],
        ["-2", "-2"],
        ["-1", "-1"],  # the better: a smaller share of it repeats
    ]
    (shared,) = (i for i, line in enumerate(lines) if line.startswith("shared by"))
    assert lines[shared + 2 : shared + 4] == ["a b near 0 1", "a b passage 0 1"]
    assert "exact surplus fraction 17.65% 0% -17.65 points" in lines[better:]
    assert "Of clusters with 2 documents or more: 1 new, 1 grown, 1 shrunk, 1 gone." in lines
    listed = lines[lines.index("Of clusters with 2 documents or more: 1 new, 1 grown, 1 shrunk, 1 gone.") :]
    assert [line.split()[:3] for line in listed[3:7]] == [
        ["new", "0", "7"],
        ["grown", "6", "9"],
        ["shrunk", "5", "3"],
        ["gone", "4", "0"],
    ]


def test_words_are_safe_to_print(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    text = compare_runs(pair[0].folder, pair[1].folder, tmp_path, 2)
    assert all(line.isprintable() for line in text.split("\n"))
    (line,) = (line for line in text.splitlines() if line.startswith(r"\x1b[31mred\u202e"))
    assert line.split()[-2:] == ["+7", "+7"]
    assert "[bold]x[/bold]" in line


def test_long_lists_are_cut_and_say_so(tmp_path: Path) -> None:
    corpus: Corpus = {f"s{i:02}": [words(f"w{i}x")] * (i + 2) for i in range(12)}
    before = audit_sources(tmp_path, "a", {"s": ["lonely"]})
    after = audit_sources(tmp_path, "b", corpus)
    lines = compare_runs(before.folder, after.folder, None, 2).splitlines()
    assert sum(line.strip() == "and 4 more" for line in lines) == 2  # clusters, passages
    assert sum(line.strip() == "and 5 more" for line in lines) == 1  # sources, the one that is gone too
    assert "Of clusters with 2 documents or more: 12 new." in lines
    shown = [line.split() for line in lines if line.startswith("new ")]
    assert [int(row[2]) for row in shown] == [*range(13, 5, -1)] * 2


def test_tables_are_of_the_contract_and_lie_in_the_second_run(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    after = copied(pair[1], tmp_path / "b [1]")
    text = compare_runs(pair[0].folder, after, None, 3)
    target = after / "compare" / "monday"
    assert text.rstrip().endswith(f"Tables: {target}")
    for table in COMPARISONS:
        found = Audited(target).table(Path(table.path).stem)
        assert found.schema.equals(table.arrow_schema(), check_metadata=True)
    manifest = json.loads((target / "compare.json").read_text())
    assert (manifest["before"], manifest["after"]) == (str(pair[0].folder), "b [1]")
    assert (manifest["least"], manifest["notes"]) == (3, [])


def test_comparison_is_written_again_with_the_same_bytes(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in (*folders, folders[0]):
        compare_runs(pair[0].folder, pair[1].folder, folder, 2)
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert one == two
    assert len(one) == len(COMPARISONS) + 1


def test_run_behind_a_link_is_called_by_its_own_name(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    before = copied(pair[0], tmp_path / "night\x1b\u202e")
    after = copied(pair[1], tmp_path / "b")
    (tmp_path / "latest").symlink_to(before.name)
    text = compare_runs(tmp_path / "latest", after, None, 3)
    assert text.splitlines()[1] == r"night\x1b\u202e -> b"
    assert (after / "compare" / before.name / "compare.json").exists()


@pytest.mark.parametrize("first", [True, False])
def test_folder_that_is_no_run_is_refused(pair: tuple[Audited, Audited], tmp_path: Path, first: bool) -> None:
    runs = (tmp_path, pair[0].folder) if first else (pair[0].folder, tmp_path)
    with pytest.raises(ArtifactError, match="not a finished run"):
        compare_runs(runs[0], runs[1], tmp_path / "out", 2)


READ = [
    *("documents", "clusters", "passages", "metrics", "sources", "source_overlap", "histogram", "risk"),
    "similarity",
]


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("first", [True, False])
def test_missing_or_damaged_table_is_told(
    pair: tuple[Audited, Audited], tmp_path: Path, name: str, first: bool
) -> None:
    run = copied(pair[0], tmp_path / "run")
    (table,) = (table for table in schemas.TABLES if table.name == name)
    runs = (run, pair[1].folder) if first else (pair[1].folder, run)
    (part,) = run.glob(table.path)
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match="cannot be read") as caught:
        compare_runs(runs[0], runs[1], tmp_path / "out", 2)
    assert str(run) in str(caught.value.where)
    part.unlink()
    with pytest.raises(ArtifactError, match="a table of the run is missing") as caught:
        compare_runs(runs[0], runs[1], tmp_path / "out", 2)
    assert caught.value.where == str(run / table.path)
    assert not (tmp_path / "out").exists()


def test_folder_that_cannot_be_written_is_told(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot write"):
        compare_runs(pair[0].folder, pair[1].folder, tmp_path / "file" / "out", 2)
