"""The command line `cscart-pipelines`: words in, words out.

Commands parse, call the other rooms and print. A rule that Dagster needs too belongs elsewhere.
"""
