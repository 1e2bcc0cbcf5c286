"""Shipment requests from the inbox into the shop, then the order's status."""
