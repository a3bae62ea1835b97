"""Is there a backdoor? The tab that asks, and shows the answer with its evidence."""
