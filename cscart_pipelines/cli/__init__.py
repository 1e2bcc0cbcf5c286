"""The command line `cscart-pipelines`, by command group."""
