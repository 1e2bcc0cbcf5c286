"""Holds what dbt built of visits against the oracle, table by table (see `comparison`)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cscart_pipelines_tests.support.dbt.comparison import Built, _check
from cscart_pipelines_tests.support.dbt.oracle import Oracle
from cscart_pipelines_tests.support.dbt.oracle_onsite import visits_of
from cscart_pipelines_tests.support.dbt.oracle_segments import expected_members


def check_last_seen(built: Built, oracle: Oracle) -> None:
    visits = visits_of(oracle)
    table = built.of("subscribers", oracle.shop.integration).set_index("identity")
    for identity in oracle.subscribers:
        expected = visits.last_seen.get(identity)
        _check(table.loc[identity, "last_seen_at"], expected, oracle.shop.integration, identity)


def check_onsite_sessions(built: Built, oracle: Oracle) -> None:
    key = oracle.shop.integration
    table = built.of("onsite_sessions", key).set_index(["visitor_id", "started_at"])
    expected = visits_of(oracle).sessions
    assert set(table.index) == set(expected), key
    for where, session in expected.items():
        for name, value in session.items():
            found = table.loc[where, name]
            _check(str(found) if name == "day" else found, value, key, *where, name)


def check_onsite_daily(built: Built, oracle: Oracle) -> None:
    key = oracle.shop.integration
    table = built.of("onsite_daily", key)
    table = table.set_index(pd.DatetimeIndex(table.day)).sort_index()
    expected = visits_of(oracle).daily
    assert bool(len(table)) == bool(expected), key
    if expected:
        last = oracle.local(oracle.as_of - pd.Timedelta(microseconds=1)).normalize()
        assert list(table.index) == list(pd.date_range(min(expected), last)), key
    for row in table.itertuples():
        day = expected.get(str(row.day))
        if day is None:
            assert (row.sessions, row.visitors, row.revenue) == (0, 0, 0)
            assert np.isnan(row.conversion)
        else:
            for name, value in day.items():
                _check(getattr(row, name), value, key, row.day, name)


def check_product_funnel(built: Built, oracle: Oracle) -> None:
    key = oracle.shop.integration
    table = built.of("product_funnel", key)
    found = {(str(r.day), r.product_key, r.is_in_catalogue): r for r in table.itertuples()}
    expected = visits_of(oracle).funnel
    assert set(found) == set(expected), (key, set(found) ^ set(expected))
    codes = {p["product_id"]: (p["product_code"] or "").strip() for p in oracle.shop.products}
    for where, step in expected.items():
        row = found[where]
        for name in ("viewed", "added", "bought"):
            _check(getattr(row, name), len(getattr(step, name)), key, *where, name)
            _check(getattr(row, f"{name}_visitors"), len(step.visitors[name]), key, *where, name)
            if name != "viewed":
                _check(getattr(row, f"{name}_quantity"), step.pieces[name], key, *where, name)
        _check(row.revenue, step.revenue, key, *where, "revenue")
        _check(row.product_id, int(where[1]) if where[2] else None, key, *where, "product_id")
        if where[2] and codes[int(where[1])]:
            assert row.sku == codes[int(where[1])]


def check_onsite_segments(built: Built, oracle: Oracle) -> None:
    """Membership is compared with that of all segments; here, that it says why."""
    members = built.of("segment_members", oracle.shop.integration)
    for segment in visits_of(oracle).segments:
        own = members[members.segment == segment]
        assert set(own.identity) == expected_members(oracle)[segment]
        assert own.reason.str.contains("no order since").all()


ONSITE_CHECKS = (
    check_last_seen,
    check_onsite_sessions,
    check_onsite_daily,
    check_product_funnel,
    check_onsite_segments,
)
