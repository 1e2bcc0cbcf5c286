"""The order export: which orders the fulfilment system gets, and how."""
