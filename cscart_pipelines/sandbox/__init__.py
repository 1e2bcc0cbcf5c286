"""A CS-Cart shop to try the project on, quirks included. Imports nothing of the project."""
