"""Facts of the target: this machine's BPF, and how LLVM is told to compile for it."""

from __future__ import annotations

import sys

TRIPLE = "bpfel" if sys.byteorder == "little" else "bpfeb"
"""The kernel's BPF has the byte order of the machine."""

CPU = "v3"
"""Instruction set: v3 has 32-bit arithmetic and comparisons (Linux 5.1)."""

OPTIONS = (
    "-bpf-stack-size=1048576",  # measured in the object code instead
    "-disable-loop-idiom-all",  # loops that fill or copy stay loops: there is no memset to call
    "-replexitval=never",  # a sum over a range stays a loop: its closed form multiplies 128 bits
)

STACK_LIMIT = 512
"""MAX_BPF_STACK of include/linux/filter.h, in bytes."""

MAX_ARGUMENTS = 5
"""Arguments are passed in registers r1 to r5."""

MAX_PACKET_OFFSET = 0xFFFF
"""MAX_PACKET_OFF of kernel/bpf/verifier.c: how far into a packet the verifier lets anything be."""
