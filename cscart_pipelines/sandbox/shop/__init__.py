"""The sandbox's state: products, customers, orders, shipments, version profiles."""
