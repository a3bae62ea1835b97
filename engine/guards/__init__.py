"""Checks that stand before a network and flag backdoored inputs one by one."""
