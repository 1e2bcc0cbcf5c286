"""The shop: the REST API of one CS-Cart installation and nothing else.

Here belong addresses, requests, retries, capabilities, paging, and the reading of loose JSON into
typed rows. Not here: PostgreSQL, integrations and their settings, what to read and since when.
"""
