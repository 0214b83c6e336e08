"""The running kernel's side: maps, programs and what they are attached to, by bpf(2) itself."""

from penstock.kernel.load import Loaded, load

__all__ = ["Loaded", "load"]
