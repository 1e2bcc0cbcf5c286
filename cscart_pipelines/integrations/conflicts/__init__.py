"""What two integrations may not share: orders of one shop, prefixes of one client."""
