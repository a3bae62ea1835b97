"""The left panel: what is chosen, how to run, Run."""
