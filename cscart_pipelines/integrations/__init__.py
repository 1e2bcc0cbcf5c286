"""One connected shop: its settings, secrets and status, and the rules between integrations."""
