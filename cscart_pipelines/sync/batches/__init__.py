"""The syncs and targeted syncs of one run over several shops."""
