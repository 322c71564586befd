"""A reader of Prometheus's text format, as strict as its description.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (\S+)")
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|Inf)|NaN")
UNESCAPED = {r"\\": "\\", r"\n": "\n", r"\"": '"'}

Labels = frozenset[tuple[str, str]]


@dataclass
class Family:
    """A metric: its help, its type, its samples by their labels."""

    help: str = ""
    type: str = ""
    samples: dict[Labels, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """Its one sample."""
        (value,) = self.samples.values()
        return value


def _plain(words: str) -> str:
    return re.sub(r"\\.", lambda match: UNESCAPED[match[0]], words)


def read_exposition(text: str) -> dict[str, Family]:
    """The metrics in a text; a ValueError says what is wrong with it."""
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    families: dict[str, Family] = {}
    last = ""
    for line in text[:-1].split("\n"):
        comment = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.*)", line)
        if comment:
            kind, last, words = comment.groups()
            family = families.setdefault(last, Family())
            if family.samples or getattr(family, kind.lower()):
                raise ValueError(f"a second {kind}, or one behind the samples: {line}")
            setattr(family, kind.lower(), _plain(words))
        elif not line.startswith("#"):
            name, labels, value = _sample(line)
            family = families[name]
            if name != last or family.type != "gauge" or labels in family.samples:
                raise ValueError(f"a sample apart from its metric, or twice: {line}")
            family.samples[labels] = value
    return families


def _sample(line: str) -> tuple[str, Labels, float]:
    match = SAMPLE.fullmatch(line)
    if match is None or not NUMBER.fullmatch(match[match.lastindex or 0]):
        raise ValueError(f"not a sample: {line}")
    labels = [(key, _plain(label)) for key, label in re.findall(LABEL, match[2] or "")]
    return match[1], frozenset(labels), float(match[match.lastindex or 0])
