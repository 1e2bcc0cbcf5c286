"""Erasure of a person. Each package erases its own tables; this one puts them together."""
