"""Makes `pipeline` importable, which the environment of the peers does not have: import this first."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))
