"""THE PORCH: the Google Tag Manager file, the collector of what visitors' browsers tell, its inbox.

What browsers tell is a hint, never the truth: what it leads to is read again from the shop (`sync`).
Not here: the shop's API (`cscart`), sessions and funnels (dbt), Dagster (`defs`).
"""
