"""Hosts and links on one machine, real traffic between them."""
