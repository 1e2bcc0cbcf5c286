"""A CS-Cart shop to try the project on, written from the API reference, with its quirks.

Imported only by the command line and the tests. Not here: anything the project itself relies on.
"""
