"""Packets at rest: queues that XDP does not have, in maps, with schedulers written in Python."""
