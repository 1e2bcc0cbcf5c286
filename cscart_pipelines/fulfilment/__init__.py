"""Orders to the fulfilment system; tracking numbers and stock back to the shop, exactly once.

`orders/` exports, `feeds/` parses and ingests, `shipments/` and `stock/` push to one shop,
`pushes/` to many. Beside them: the journal of writes, the push session, the report, carriers and
countries.
"""
