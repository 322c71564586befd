"""Holds the lines of the layout: who may import what, and how files are named and sized."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "pipeline").rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]

MAX_LINES = 400
VAGUE = {"util", "utils", "common", "helper", "helpers", "base", "manager", "managers", "misc"}
RAW_BUFFERS = {"buffers", "foreign_buffer", "from_buffers"}

# What of the project a part may import, itself aside.
ALLOWED = {
    "config": {"errors", "gate_names", "normalise"},
    "errors": set(),
    "kernels": {"normalise"},
    "gate_names": set(),
    "label_hashes": set(),
    "mixture": {"config", "errors", "gate_names", "label_hashes", "normalise"},
    "normalise": set(),
    "risk": {"schemas"},
    "schemas": {"errors", "normalise"},
}

# What a part must not import, not even through others. Nothing imports the command line, which is
# one file with a folder of commands.
COMMAND_LINE = {"cli", "commands"}
ENGINES = {"cluster", "engine", "threads"}
UNREACHABLE = {
    "commands": {"cli"},
    "cluster": {*COMMAND_LINE, "engine", "run"},
    "engine": {*COMMAND_LINE, "run"},
    "readers": {*COMMAND_LINE, *ENGINES, "run", "stages"},
    "report": {*COMMAND_LINE, *ENGINES, "run"},
    "stages": {*COMMAND_LINE, *ENGINES, "report", "run"},
    "threads": {*COMMAND_LINE, "engine", "run", "stages"},
    "writers": {*COMMAND_LINE, *ENGINES, "run", "stages"},
}

# Where a library may be imported.
HOMES = {
    "click": ("pipeline/cli.py", "pipeline/commands/"),
    "dask": ("pipeline/cluster.py", "pipeline/threads.py"),
    "distributed": ("pipeline/cluster.py",),
    "html": ("pipeline/report/",),
    "llvmlite": ("pipeline/kernels/",),
    "numba": ("pipeline/kernels/",),
}

# What `dupaudit --help` must not wait for.
HEAVY = ["dask", "datasketch", "distributed", "numba", "polars", "pyarrow"]


def _module(path: Path) -> str:
    """Return the dotted name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(path): path for path in FILES}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def _imports(path: Path) -> frozenset[str]:
    """Return the dotted names a file imports, at its top or inside functions.

    `from a import b` is `a.b` where that is a module of the project, else `a`.
    """
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: relative import; write the whole name"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in whole}
    return frozenset(found)


def _part(module: str) -> str:
    """Return the part of the project a module belongs to: its first name below `pipeline`."""
    return module.split(".")[1] if "." in module else ""


def _own_imports(module: str) -> set[str]:
    """Return the modules of the project that a module imports."""
    return {name for name in _imports(MODULES[module]) if name.split(".")[0] == "pipeline"}


def _ways(start: str) -> Iterator[list[str]]:
    """Yield a shortest chain of imports from a module to each module it leads to."""
    queue, seen = deque([[start]]), {start}
    while queue:
        way = queue.popleft()
        yield way
        for name in sorted(_own_imports(way[-1]) & MODULES.keys() - seen):
            seen.add(name)
            queue.append([*way, name])


@pytest.mark.parametrize("module", MODULES)
def test_imports_of_the_project_exist(module: str) -> None:
    assert _own_imports(module) <= MODULES.keys()


@pytest.mark.parametrize("module", [name for name in MODULES if _part(name) in ALLOWED])
def test_a_leaf_imports_only_leaves(module: str) -> None:
    part = _part(module)
    assert {_part(name) for name in _own_imports(module)} <= ALLOWED[part] | {part}


@pytest.mark.parametrize("module", [name for name in MODULES if _part(name) != "cli"])
def test_imports_point_one_way(module: str) -> None:
    unreachable = UNREACHABLE.get(_part(module), COMMAND_LINE)
    against = [way for way in _ways(module) if _part(way[-1]) in unreachable]
    assert not against, "imports that lead upwards:\n" + "\n".join(" -> ".join(way) for way in against)


@pytest.mark.parametrize("name", NAMES)
def test_a_library_is_imported_only_at_its_home(name: str) -> None:
    roots = {imported.split(".")[0] for imported in _imports(ROOT / name)}
    astray = {root: HOMES[root] for root in roots & HOMES.keys() if not name.startswith(HOMES[root])}
    assert not astray, f"{name} imports what belongs elsewhere: {astray}"


@pytest.mark.parametrize("name", NAMES)
def test_raw_arrow_buffers_are_touched_in_one_file(name: str) -> None:
    touched = [
        f"line {node.lineno}: .{node.attr}"
        for node in ast.walk(_tree(ROOT / name))
        if isinstance(node, ast.Attribute) and node.attr in RAW_BUFFERS
    ]
    assert not touched or name == "pipeline/kernels/buffers.py", touched


@pytest.mark.parametrize("name", NAMES)
def test_files_are_short(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES, f"{name} has {lines} lines: split it"


@pytest.mark.parametrize("name", NAMES)
def test_names_say_what_is_inside(name: str) -> None:
    words = set(re.split(r"[/_.]", name))
    assert not words & VAGUE


@pytest.mark.parametrize("name", NAMES)
def test_a_module_is_told_in_one_sentence(name: str) -> None:
    docstring = ast.get_docstring(_tree(ROOT / name))
    assert docstring, f"{name} has no docstring"
    first, _, rest = docstring.partition("\n")
    assert first.endswith("."), f"the first line is not a whole sentence: {first!r}"
    assert not re.search(r"[.!?] +[^\sa-z]", first), f"the first line is more than a sentence: {first!r}"
    assert not rest or rest.startswith("\n"), "no empty line after the first"


def test_the_command_line_loads_nothing_heavy() -> None:
    code = "import json, sys, pipeline.cli; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not set(HEAVY) & set(json.loads(done.stdout))
