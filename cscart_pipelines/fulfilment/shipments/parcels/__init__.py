"""Pure rules of one order's parcels: rows, quantities, fields, what the shop has already."""
