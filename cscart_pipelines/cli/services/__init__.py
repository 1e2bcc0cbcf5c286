"""`demo`, `up`, `sandbox` and `collector`: the project as running processes."""
