"""When two spellings of a tracking number mean the same parcel."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking


@given(st.text())
def test_a_normalised_tracking_number_stays_as_it_is(text: str) -> None:
    once = normalise_tracking(text)
    assert normalise_tracking(once) == once
    assert normalise_tracking(f" {text}-.\u2013") == once


def test_spellings_of_one_parcel() -> None:
    for text in ("1Z999AA1", "1z 999 aa1", "1Z-999.AA1", "1Z\u2011999\u00a0AA1", "\t1z999aa1\n"):
        assert normalise_tracking(text) == "1Z999AA1"
    assert normalise_tracking("1Z_999") != normalise_tracking("1Z999")
