"""THE PORCH: the Google Tag Manager file, the collector of what visitors' browsers tell, its inbox.

What browsers tell is a hint, never the truth: the shop itself is read again for it (`sync`).
Not here: the shop's API (`cscart`), sessions and funnels (dbt), Dagster (`defs`).
"""
