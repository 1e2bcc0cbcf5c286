"""One HTTP exchange with a shop: addresses, sessions, answers, and the errors they become."""
