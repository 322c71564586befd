"""The family of errors: their words, their fields, their exit codes."""

from __future__ import annotations

import pickle

import pytest
from distributed.protocol.serialize import deserialize, serialize

from pipeline import errors
from pipeline.errors import (
    ArtifactError,
    AuditError,
    ClusterError,
    ConfigError,
    InputChangedError,
    InputError,
    LockedError,
)

FAMILY = [
    value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, AuditError)
]


def test_message_has_a_line_for_each_part_that_is_known() -> None:
    error = AuditError("it broke", where="a.jsonl", row=7, got=[1], expected="two", fix="mend it")
    assert str(error) == (
        "it broke\n  where:    a.jsonl, row 7\n  got:      [1]\n  expected: two\n  do:       mend it"
    )
    assert str(AuditError("it broke")) == "it broke"
    assert str(AuditError("it broke", where="here", row=0)) == "it broke\n  where:    here, row 0"
    assert str(AuditError("it broke", got=0, expected="")) == "it broke\n  got:      0\n  expected: "


def test_parts_of_the_message_are_fields() -> None:
    error = InputError("it broke", where="a", row=1, got=ValueError("no"), expected=None, fix="b")
    fields = (error.what, error.where, error.row, error.got, error.expected, error.fix)
    assert fields == ("it broke", "a", 1, "no", None, "b")


@pytest.mark.parametrize("kind", FAMILY)
def test_error_of_a_worker_arrives_as_it_was(kind: type[AuditError]) -> None:
    error = kind("it broke", where="a", row=3, got=object, expected=(1, 2), fix="mend it")
    by_dask = deserialize(*serialize(error))  # type: ignore[no-untyped-call]
    for arrived in (pickle.loads(pickle.dumps(error)), by_dask):
        assert type(arrived) is kind
        assert vars(arrived) == vars(error)
        assert str(arrived) == str(error)
        assert arrived.args == error.args


def test_error_keeps_what_cannot_be_pickled_as_words() -> None:
    error = ArtifactError("it broke", got=lambda: None)
    assert "lambda" in str(pickle.loads(pickle.dumps(error)).got)


def test_every_error_has_an_exit_code_that_is_not_success() -> None:
    codes = {kind.__name__: kind.exit_code for kind in FAMILY}
    assert codes == {
        "AuditError": 1,
        "ConfigError": 2,
        "InputError": 1,
        "InputChangedError": 1,
        "ArtifactError": 1,
        "ClusterError": 1,
        "LockedError": 75,
    }


def test_every_error_is_of_the_family() -> None:
    assert set(FAMILY) == {
        AuditError,
        ConfigError,
        InputError,
        InputChangedError,
        ArtifactError,
        ClusterError,
        LockedError,
    }
    assert issubclass(InputChangedError, InputError)
    assert all(kind.__doc__ for kind in FAMILY)
