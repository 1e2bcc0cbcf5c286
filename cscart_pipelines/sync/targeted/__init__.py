"""The targeted sync: orders and people that onsite events name are read again at once."""
