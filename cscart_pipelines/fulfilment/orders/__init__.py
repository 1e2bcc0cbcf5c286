"""Orders to the fulfilment system: which are pulled, and their export."""
