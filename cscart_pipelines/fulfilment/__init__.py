"""Orders to the fulfilment system; tracking numbers and stock back to the shop, exactly once."""
