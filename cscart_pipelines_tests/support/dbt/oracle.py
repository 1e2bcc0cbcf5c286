"""What the models should say of a list: metrics, scores, days and cohorts (see `oracle_people`).

One `Oracle` per shop.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from cscart_pipelines_tests.support.dbt.oracle_people import DAY, People, ratio


class Oracle(People):
    """The whole shop."""

    # --- list metrics --------------------------------------------------------------------------

    @cached_property
    def metrics(self) -> dict[str, float]:
        facts, bought = self.facts, self.purchases
        month, year = bought[bought.ago <= 30], bought[bought.ago <= 365]
        buyers = facts[facts.purchases >= 1]
        spans = (
            pd.Series(
                [
                    self.days(f, last) / 365.25 if n > 1 else 0.0
                    for n, f, last in zip(
                        facts.purchases,
                        facts.first_purchase_at,
                        facts.last_purchase_at,
                        strict=True,
                    )
                ],
                dtype=float,
            ),
            facts.purchases.to_numpy() >= 1,
        )
        new = {i for i, f in buyers.first_purchase_at.items() if self.within(f, 30)}
        recent = set(month.identity)
        checkouts = self._checkouts(30)
        found = {
            "orders_30d": len(month),
            "order_value_30d": month.total.sum(),
            "average_order_value": ratio(year.total.sum(), len(year)),
            "order_frequency_30d": ratio(len(month), month.identity.nunique()),
            "customer_lifespan_years": spans[0].mean(),
            "customer_lifespan_years_buyers": spans[0][spans[1]].mean(),
            "subscribers": len(facts),
            "contactable_email": facts.can_email.sum(),
            "contactable_mobile": facts.can_sms.sum(),
            "contactable_both": (facts.can_email & facts.can_sms).sum(),
            "contactable_none": (~facts.can_email & ~facts.can_sms).sum(),
            "buyers": len(buyers),
            "new_buyers_30d": len(new),
            "returning_buyers_30d": len(recent - new),
            "purchases": facts.purchases.sum(),
            "gross_total": facts.gross.sum(),
            "settled_total": facts.revenue.sum(),
            "refunded_total": facts.refunded_total.sum(),
            "net_revenue": facts.net_revenue.sum(),
            "clv_historic": ratio(facts.net_revenue.sum(), len(buyers)),
            "repeat_purchase_rate": ratio((facts.purchases >= 2).sum(), len(buyers)),
            "mean_days_between_orders": bought.gap.mean(),
            "median_days_between_orders": bought.gap.median(),
            "cancel_rate": ratio(facts.cancelled_orders.sum(), facts.orders.sum()),
            "refund_rate": ratio(facts.refunded_orders.sum(), facts.orders.sum()),
            "failed_payment_rate": ratio(facts.failed_payment_orders.sum(), facts.orders.sum()),
            "abandoned_checkouts_30d": len(checkouts),
            "checkout_recovery_rate": ratio(sum(r for _, r in checkouts), len(checkouts)),
        }
        for k in (30, 60, 90):
            passed = [self.days(f, self.as_of) >= k for f in buyers.first_purchase_at]
            ripe = buyers[np.array(passed, dtype=bool)]
            again = [
                pd.notna(s) and self.days(f, s) <= k
                for f, s in zip(ripe.first_purchase_at, ripe.second_purchase_at, strict=True)
            ]
            found[f"second_purchase_rate_{k}d"] = ratio(sum(again), len(ripe))
        return {name: float(value) for name, value in found.items()}

    def _checkouts(self, days: int) -> list[tuple[str, bool]]:
        """(identity, recovered) of every incomplete checkout in the window."""
        found = []
        waiting = self.mine[self.mine.incomplete.astype(bool)] if len(self.mine) else self.mine
        for checkout in waiting.itertuples():
            if self.within(checkout.at, days):
                own = self.purchases[self.purchases.identity == checkout.identity]["at"]
                wait = own - checkout.at
                recovered = bool(((wait >= 0 * DAY) & (wait <= DAY)).any())
                found.append((checkout.identity, recovered))
        return found

    # --- RFM -----------------------------------------------------------------------------------

    @cached_property
    def rfm(self) -> pd.DataFrame:
        bought = self.purchases
        today = self.local(self.as_of).normalize()
        table = bought.groupby("identity").agg(
            last=("local", "max"), frequency=("total", "size"), monetary=("total", "sum")
        )
        table["recency_days"] = [(today - last.normalize()).days for last in table["last"]]
        scores = {}
        for name, column in (
            ("recency_score", "recency_days"),
            ("frequency_score", "frequency"),
            ("monetary_score", "monetary"),
        ):
            values = table[column].to_numpy(dtype=float)
            cuts = [np.quantile(values, i / 5) + 1 for i in range(1, 5)] if len(values) else []
            score = [1 + sum(round(cut, 9) <= round(value, 9) for cut in cuts) for value in values]
            scores[name] = [6 - s for s in score] if name == "recency_score" else score
        table = table.assign(**scores)
        table["rfm_group"] = [
            GRID[r - 1][f - 1]
            for r, f in zip(table.recency_score, table.frequency_score, strict=True)
        ]
        return table

    # --- tables by time ------------------------------------------------------------------------

    @cached_property
    def daily(self) -> pd.DataFrame:
        bought = self.purchases
        joined = [
            self.local(p["subscribed_at"]).normalize()
            for p in self.live.values()
            if p["subscribed_at"] is not None and p["subscribed_at"] < self.as_of
        ]
        days = [moment.normalize() for moment in bought.local]
        if not days + joined:
            return pd.DataFrame(columns=["purchases", "revenue", "buyers", "new_subscribers"])
        last = self.local(self.as_of - pd.Timedelta(microseconds=1)).normalize()
        table = bought.groupby(pd.DatetimeIndex(days)).agg(
            purchases=("total", "size"), revenue=("total", "sum"), buyers=("identity", "nunique")
        )
        table["new_subscribers"] = 0
        table = table.reindex(pd.date_range(min(days + joined), last), fill_value=0)
        counts = pd.Series(joined, dtype="datetime64[us]").value_counts()
        table["new_subscribers"] = counts.reindex(table.index, fill_value=0)
        return table

    @cached_property
    def cohorts(self) -> dict[tuple[str, int], tuple[int, int, float]]:
        """(cohort month, months since) -> (size, buyers, revenue), without months nobody bought."""
        bought = self.purchases.copy()
        if bought.empty:
            return {}
        bought["month"] = [m.year * 12 + m.month - 1 for m in bought.local]
        bought["cohort"] = bought.groupby("identity")["month"].transform("min")
        size = bought.groupby("cohort")["identity"].nunique()
        found = {}
        for (cohort, month), rows in bought.groupby(["cohort", "month"]):
            name = f"{cohort // 12:04d}-{cohort % 12 + 1:02d}-01"
            found[name, month - cohort] = (
                int(size[cohort]),
                rows.identity.nunique(),
                rows.total.sum(),
            )
        return found


_H, _R, _L = "hibernating", "at_risk", "loyal_customers_rfm"
_S, _P, _C = "about_to_sleep", "potential_loyalist", "champions_rfm"
GRID = [
    [_H, _H, _R, _R, "cant_lose"],
    [_H, _H, _R, _R, "cant_lose"],
    [_S, _S, "need_attention", _L, _L],
    ["promising", _P, _P, _L, _L],
    ["new_customers_rfm", _P, _P, _C, _C],
]
"""GRID[r - 1][f - 1]: the groups cell by cell."""
