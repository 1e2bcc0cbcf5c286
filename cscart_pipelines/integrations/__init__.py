"""The front desk: one connected shop, its settings, its secrets, its status and the rules between.

Not here: how rows are read or written; that is `sync` and `fulfilment`.
"""
