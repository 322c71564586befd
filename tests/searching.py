"""How many examples a property gets of which each takes whole audits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import settings

WIDER = 10  # times as many, where new examples are looked for

Test = TypeVar("Test", bound=Callable[..., Any])


def few(ordinary: int) -> Callable[[Test], Test]:
    """So many examples in the ordinary run, and more in the slow one, to which the test then belongs."""

    def decorated(test: Test) -> Test:
        if settings.get_current_profile_name() != "slow":
            return settings(max_examples=ordinary)(test)
        slow: Test = pytest.mark.slow(settings(max_examples=WIDER * ordinary)(test))
        return slow

    return decorated
