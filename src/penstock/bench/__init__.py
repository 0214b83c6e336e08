"""What it costs: measurements of the machine at hand, by the kernel's own run-time statistics."""
