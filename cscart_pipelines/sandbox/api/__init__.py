"""The sandbox's REST API, entity by entity."""
