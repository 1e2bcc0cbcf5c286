"""Stock levels from the inbox into the shop: rules, circuit breaker, writing, undo."""
