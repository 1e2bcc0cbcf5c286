"""What commands share: the console, exit codes, the environment, runs in a process of their own."""
