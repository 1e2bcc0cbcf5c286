"""Rows of the shop as typed records, by allow-list: what is not named here is not read."""
