"""The sandbox's pages for visitors."""
