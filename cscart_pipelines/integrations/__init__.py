"""One connected shop: settings, secrets, status, and the rules between them."""
