"""Onsite tracking: the tag and its container file, the collector, the change queue, retention."""
