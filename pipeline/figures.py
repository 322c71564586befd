"""How numbers are written for people."""

from __future__ import annotations

MISSING = "-"


def number(value: float | None) -> str:
    """A count with thousands separators; `-` for what is not known."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.3g}"


def percent(value: float | None, places: int = 2) -> str:
    """A share (0 to 1) as a percentage; what is not all does not read as 100 %, nor a little as 0 %."""
    if value is None:
        return MISSING
    if value in (0.0, 1.0):
        return f"{value:.0%}"
    least = 10.0**-places
    shown = value * 100
    if shown < least:
        return f"<{least:.{places}f}%"
    # Cut, not rounded, at the top: 99.996 % is not 100 %.
    return f"{min(shown, 100 - least):.{places}f}%"


def size(value: float | None) -> str:
    """Bytes in the unit that leaves one to three digits before the point."""
    if value is None:
        return MISSING
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def large(value: float | None) -> str:
    """A number in words where it is large: 6.9 billion."""
    if value is None:
        return MISSING
    for unit, least in (("trillion", 1e12), ("billion", 1e9), ("million", 1e6)):
        if value >= least:
            return f"{value / least:,.4g} {unit}"
    return number(value)


def seconds(value: float | None) -> str:
    """A duration in seconds, or in hours, minutes and seconds from a minute on."""
    if value is None:
        return MISSING
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def similarity(value: float | None) -> str:
    """A similarity of 0 to 1 with three decimals; only what is equal reads as 1."""
    if value is None:
        return MISSING
    return "1" if value == 1 else f"{min(value, 0.999):.3f}"


def count(value: float | None, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 document, 2 documents."""
    noun = one if value == 1 else many or f"{one}s"
    return f"{number(value)} {noun}"
