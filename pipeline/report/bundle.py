"""The JavaScript that draws the plots: Vega, Vega-Lite and Vega-Embed in one script.

Making it takes a second and 170 MB, so it is kept in a file: beside this module where that can be
written, else in the user's cache. The file's first line holds a checksum of the rest.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from pipeline.artifacts import write_text
from pipeline.errors import ArtifactError

# Nothing but vegaEmbed is left on the page's window.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


def javascript() -> str:
    """A script that puts `vegaEmbed` on window, fit for a script tag."""
    path = cache_file()
    kept = _read(path)
    if kept is not None:
        return kept
    made = _made()
    with suppress(ArtifactError):  # a cache that cannot be written costs a second, not the page
        write_text(f"// {_checksum(made)}\n{made}", path)
    return made


def cache_file() -> Path:
    """Where the script of the installed version is kept."""
    here = Path(__file__).parent
    folder = here / "__pycache__" if os.access(here, os.W_OK) else Path.home() / ".cache" / "dupaudit"
    content = hashlib.sha256(_SNIPPET.encode()).hexdigest()[:8]
    return folder / f"vega-{version('vl-convert-python')}-{content}.js"


def _made() -> str:
    import vl_convert

    script = str(vl_convert.javascript_bundle(snippet=_SNIPPET))
    # Nothing in a script tag may look like its end, or like a comment of HTML; browsers turn line
    # ends into \n before they check a script's hash.
    script = re.sub(r"<(?=/script|!--)", r"\\x3c", script, flags=re.IGNORECASE)
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _read(path: Path) -> str | None:
    # What was cut short or altered is made again.
    try:
        first, _, script = path.read_bytes().decode().partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return script if first == f"// {_checksum(script)}" else None


def _checksum(script: str) -> str:
    return f"sha256 {hashlib.sha256(script.encode()).hexdigest()}"
