"""Makes the benchmark's modules importable under any pytest import mode."""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE / "peers"), str(_HERE.parents[1])]
