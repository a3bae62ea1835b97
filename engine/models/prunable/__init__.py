"""Which layers have channels that can be pruned, which of them is meant by default, and how a channel is pruned."""
