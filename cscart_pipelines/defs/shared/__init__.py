"""What the definitions of several domains use: resources, partitions, alerts, failures."""
