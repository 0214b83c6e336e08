"""Packet schedulers, one file each. Each is an example of how to write one."""
