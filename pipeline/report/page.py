"""The page of a run: its sections, script and style put into one HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline import figures
from pipeline.artifacts import write_text
from pipeline.manifest import read_manifest
from pipeline.report import shown
from pipeline.report.bundle import javascript
from pipeline.report.exposed import risk_section
from pipeline.report.facts import facts_section
from pipeline.report.model import Report, read_report
from pipeline.report.new_repeats import new_section
from pipeline.report.opening import headline_section, verdict_section
from pipeline.report.origins import origins_section
from pipeline.report.repeated import passages_section
from pipeline.report.repeats import histogram_section, similarity_section
from pipeline.report.similar import clusters_section, loose_section
from pipeline.report.values import Section
from pipeline.report.words import headline

_SECTIONS: tuple[Callable[[Report], Section | None], ...] = (
    verdict_section,
    headline_section,
    new_section,
    histogram_section,
    similarity_section,
    risk_section,
    origins_section,
    clusters_section,
    passages_section,
    loose_section,
    facts_section,
)
# What could end a script, or a line of one, in a string of JSON.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def write_page(run: Path, out: Path | None) -> Path:
    """Render a run's page from its tables; returns the file, by default report.html in the run.

    Raises:
        ArtifactError: `run` is not a finished run, a table is missing or of another version, or the
            page cannot be written.
    """
    path = run / "report.html" if out is None else out
    write_text(render(run, read_manifest(run)), path)
    return path


def render(run: Path, manifest: Mapping[str, Any]) -> str:
    """The page of a run as HTML.

    Args:
        run: the folder of its tables; run.json is not read.
        manifest: what run.json holds, or will hold.

    Raises:
        ArtifactError: a table is missing or of another version.
    """
    report = read_report(run, manifest)
    made = [make(report) for make in _SECTIONS]
    sections = [section for section in made if section is not None]
    scripts = _scripts(sections)
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        run=shown.name(str(manifest.get("run", run.name))),
        headline=headline(report),
        when=_when(report),
        sections=sections,
        style=Markup(_beside("page.css")),
        scripts=[Markup(script) for script in scripts],
        script_hashes=[_hash(script) for script in scripts],
        plots=Markup(_json({plot.key: plot.spec for s in sections for plot in s.plots})),
        percent=lambda share: f"{min(max(share, 0), 1):.4f}",
    )


def _scripts(sections: Iterable[Section]) -> list[str]:
    # A page without plots does without the megabyte that draws them.
    own = _beside("page.js")
    return [javascript(), own] if any(section.plots for section in sections) else [own]


def _when(report: Report) -> str:
    started = str(report.manifest.get("started", ""))[:10]
    parts = [figures.count(report.metric("documents"), "document"), figures.size(report.metric("bytes"))]
    return " · ".join([*([shown.name(started)] if started else []), *parts])


def _beside(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    # Only these scripts may run, whatever a text of the data might get into the page.
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)
