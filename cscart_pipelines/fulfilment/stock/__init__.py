"""Stock levels from the inbox into the shop: rules, circuit breaker, writes, undo."""
