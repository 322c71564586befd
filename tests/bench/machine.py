"""What the benchmark ran on: processor, memory, versions."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

OUR_PACKAGES = ("dupaudit", "numba", "llvmlite", "numpy", "polars", "pyarrow", "distributed")
_REQUIREMENTS = Path(__file__).resolve().parent / "peers-requirements.txt"
_ASK = (
    "import json, sys; from platform import python_version; from importlib.metadata import version;"
    "print(json.dumps({'Python': python_version(), **{name: version(name) for name in sys.argv[1:]}}))"
)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_model(cpuinfo: str) -> str:
    """Return the name of the first processor in the text of /proc/cpuinfo, or what Python knows."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def requirement_names(requirements: str) -> list[str]:
    """Return the packages that a requirements file pins."""
    lines = (line.partition("#")[0].strip() for line in requirements.splitlines())
    return [line.partition("==")[0] for line in lines if line]


def peer_versions(peers_python: Path) -> dict[str, str]:
    """Return the versions in the peers' environment; none where it cannot be asked."""
    names = requirement_names(_REQUIREMENTS.read_text())
    try:
        asked = subprocess.run([peers_python, "-c", _ASK, *names], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    versions: dict[str, str] = json.loads(asked.stdout)
    return versions


def machine_facts(peers_python: Path) -> dict[str, object]:
    """Return what the tables should be read beside."""
    cpuinfo = Path("/proc/cpuinfo")
    return {
        "processor": processor_model(cpuinfo.read_text() if cpuinfo.exists() else ""),
        "cores": cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0],
        "ours": {"Python": platform.python_version(), **{name: version(name) for name in OUR_PACKAGES}},
        "peers": peer_versions(peers_python),
    }


def machine_lines(facts: dict[str, object]) -> str:
    """Return the facts as the lines above the tables."""
    memory, load = facts["memory_bytes"], facts["load"]
    if not isinstance(memory, int) or not isinstance(load, float):
        raise TypeError("memory_bytes and load: need an int and a float")
    first = f"{facts['processor']}, {facts['cores']} cores, {memory / 1e9:.1f} GB memory, {facts['system']}"
    lines = [f"{first}; load {load:.1f} before the start"]
    return "\n".join([*lines, f"ours:  {_listed(facts['ours'])}", f"peers: {_listed(facts['peers'])}"])


def _listed(versions: object) -> str:
    pairs = versions.items() if isinstance(versions, dict) else ()
    return ", ".join(f"{name} {number}" for name, number in pairs) or "not installed"
