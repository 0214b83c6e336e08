"""Protocol headers, and how to find them in a packet: what every packet program begins with."""
