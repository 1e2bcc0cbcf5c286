"""One shop's data never keeps another's list from being built."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.defs.transformation.assets import NotBuiltError, build_apart


@given(st.sets(st.integers(0, 60), max_size=40), st.sets(st.integers(0, 60), max_size=4))
def test_all_are_built_but_those_that_fail_by_themselves(keys: set[int], bad: set[int]) -> None:
    built: list[str] = []
    invocations = 0

    def build(some: Sequence[str]) -> None:
        nonlocal invocations
        invocations += 1
        if failing := {str(number) for number in bad} & set(some):
            raise NotBuiltError(f"bad: {min(failing)}", may_be_one=True)
        built.extend(some)

    names = sorted(str(number) for number in keys)
    failures = build_apart(names, build)
    assert failures.keys() == {str(number) for number in bad & keys}
    assert sorted([*built, *failures]) == names
    depth = len(names).bit_length() + 1
    assert invocations <= 1 + 2 * depth * len(failures)


@pytest.mark.parametrize("keys", [["a"], ["a", "b", "c"]])
def test_a_database_that_is_away_is_asked_once(keys: list[str]) -> None:
    asked: list[Sequence[str]] = []

    def build(some: Sequence[str]) -> None:
        asked.append(some)
        raise NotBuiltError("no connection", may_be_one=False)

    assert build_apart(keys, build) == dict.fromkeys(keys, "no connection")
    assert asked == [keys]
