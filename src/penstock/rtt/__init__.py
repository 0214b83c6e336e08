"""Passive latency: the programs that measure, their events, and the reports."""
