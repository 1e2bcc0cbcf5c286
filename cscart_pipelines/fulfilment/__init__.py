"""OUTWARD: orders to the fulfilment system; tracking numbers and stock back to the shop.

A write to a shop goes one way only: inbox -> plan -> journal -> apply -> read back. Not here: the
shop's API (`cscart`), Dagster (`defs`).
"""
