"""The collector: an ASGI application that stores event batches of visitors' browsers."""
