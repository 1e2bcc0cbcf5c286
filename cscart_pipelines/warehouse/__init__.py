"""The store room: PostgreSQL and nothing else.

Here belong the connection (by URL or the embedded server), the tables we own, their migrations and
the loading of rows. Not here: anything that knows what a shop's API looks like.
"""
