"""The verifier's messages (kernel/bpf/verifier.c), and what they mean to who writes programs in Python.

The first pattern that is found counts. Its named groups fill the text; `insn` is where it happened, if that
is not the instruction that the verifier looked at last.
"""

from __future__ import annotations

import re
from typing import Final

_TABLE: Final = (
    (
        r"BPF program is too large\. Processed (?P<steps>\d+) insn",
        "too complex: the verifier gave up after {steps} steps; shorten loops, or use for_each",
    ),
    (
        r"The sequence of (?P<jumps>\d+) jumps is too complex",
        "too complex: {jumps} branches are open at once; use a subprogram for part of it",
    ),
    (r"infinite loop detected at insn (?P<insn>\d+)", "this loop may never end"),
    (r"back-edge from insn (?P<insn>\d+)", "this is a loop, and this kernel takes none: Linux 5.3 does"),
    (
        (
            r"invalid mem access '\w+_or_null'|pointer arithmetic on \w+_or_null|type=\w+_or_null expected"
            r"|Possibly NULL pointer"
        ),
        "this may be None: test it first",
    ),
    (
        r"invalid access to map value, value_size=(?P<room>\d+) off=(?P<off>-?\d+) size=(?P<size>\d+)",
        "outside the map value: {size} bytes at offset {off} of {room}",
    ),
    (
        r"invalid access to packet, off=(?P<off>-?\d+) size=(?P<size>\d+), R\d\(.*?r=(?P<room>\d+)\)",
        "outside the packet: {size} bytes at offset {off}, of {room} that were checked",
    ),
    (
        (
            r"invalid access to (?:memory|map key|context memory), (?:mem|key)_size=(?P<room>\d+) "
            r"off=(?P<off>-?\d+) size=(?P<size>\d+)"
        ),
        "outside the record: {size} bytes at offset {off} of {room}",
    ),
    (
        r"R\d min value is negative|unbounded min(imum)? value|makes \w+ pointer be out of bounds",
        "this index or offset may be negative or of any size: limit it first (`& mask`, or `if i < n`)",
    ),
    (
        r"R\d unbounded memory access|unbounded variable-offset",
        "this index or length has no upper limit: limit it first (`& mask`, or `if i < n`)",
    ),
    (
        (
            r"invalid (?:(?:indirect )?(?:read from|access to) )?stack (?:R\d+ )?"
            r"off (?P<off>-?\d+)\+(?P<at>\d+) size (?P<size>\d+)"
        ),
        "never written: byte {at} of {size} on the stack at offset {off}",
    ),
    (
        r"invalid [a-z -]*stack (?:R\d+ |type R\d+ )?off=(?P<off>-?\d+)(?: access_size| size)=(?P<size>\d+)",
        "outside the stack: {size} bytes at offset {off}",
    ),
    (
        r"combined stack size of (?P<calls>\d+) calls is (?P<bytes>\d+)",
        "too much on the stack: {bytes} bytes in {calls} functions that call each other, of 512",
    ),
    (
        r"the call stack of (?P<frames>\d+) frames is too deep",
        "functions call each other {frames} deep: 8 at most",
    ),
    (
        r"Unreleased reference id=\d+ alloc_insn=(?P<insn>\d+)",
        "what is reserved here is neither submitted nor discarded on every path",
    ),
    (
        (
            r"type=(scalar|inv) expected=(ringbuf|alloc)_mem|is an unacquired reference"
            r"|has not been acquired before|reference is NULL"
        ),
        "this was not reserved, or is submitted or discarded already",
    ),
    (
        r"(program of this type cannot use helper|unknown func) bpf_(?P<helper>\w+)#\d+",
        "a program of this kind cannot call helpers.{helper}",
    ),
    (r"invalid func unknown#(?P<number>\d+)", "this kernel has no helper {number}"),
    (
        r"cannot call GPL-restricted function",
        "this helper is for programs under a GPL-compatible license only",
    ),
    (
        r"function calls are not allowed while holding a lock|calls? .*while holding a lock",
        "nothing may be called while a lock is held",
    ),
    (
        r"bpf_spin_unlock is missing|inside bpf_spin_lock-ed region|BPF_EXIT.*bpf_spin_lock",
        "a lock is still held where the program returns",
    ),
    (r"has to have BTF in order to use", "the map's values hold no lock or timer that the kernel knows of"),
    (r"R(?P<register>\d+) !read_ok", "a value that was not set on every path is used"),
    (
        r"invalid bpf_context access off=(?P<off>\d+) size=(?P<size>\d+)",
        "this field of the context cannot be used so, or not by this kernel (offset {off}, {size} bytes)",
    ),
    (r"R\d invalid mem access '(?:scalar|inv)'", "a number is used as a reference"),
    (
        r"R(?P<argument>\d) type=(?P<given>\w+) expected=(?P<wanted>.*)",
        "argument {argument} of the helper is {given}, not {wanted}",
    ),
    (
        r"cannot pass map_type \d+ into func bpf_(?P<helper>\w+)#\d+",
        "helpers.{helper} does not take this kind of map",
    ),
    (
        r"R(?P<argument>\d) invalid zero-sized read",
        "the length (argument {argument}) may be 0: exclude that first",
    ),
    (
        r"misaligned (?P<what>\w+) access off .* size (?P<size>\d+)",
        "not aligned: {size} bytes of the {what} at an offset that is no multiple of that",
    ),
    (
        r"leaks addr|pointer comparison prohibited|attempt to corrupt spilled pointer",
        "an address is kept or compared as a number, which takes CAP_PERFMON",
    ),
    (
        (
            r"(pointer|R\d) \S+ (on )?pointer.* prohibited|subtraction from \w+ pointer prohibited"
            r"|(arithmetic|bitwise operator \S+) on \w* ?pointer"
        ),
        "a reference is used as a number",
    ),
    (r"At program exit the register R0 has", "this value cannot be returned from here"),
    (
        r"unreachable insn (?P<insn>\d+)|jump out of range|last insn is not an exit|reserved fields",
        "the compiler made invalid code: a bug in penstock",
    ),
)

_PATTERNS: Final = tuple((re.compile(pattern), text) for pattern, text in _TABLE)


def reason(message: str) -> tuple[str, int | None]:
    """Return the reason for the last lines of a log, and the instruction that they name, if they do.

    What is not in the table is given in the verifier's own words: the first of the lines.
    """
    for pattern, text in _PATTERNS:
        found = pattern.search(message)
        if found is not None:
            groups = {name: value or "" for name, value in found.groupdict().items()}
            number = groups.get("insn")
            return text.format(**groups), int(number) if number else None
    return message.strip().partition("\n")[0], None
