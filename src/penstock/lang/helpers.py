"""Kernel helpers that programs may call: the table of include/uapi/linux/bpf.h that packet programs need.

Each function's decorator gives the helper's number and the kernel that brought it; its annotations are the
signature the compiler checks. `Memory` is a reference to any struct or array; results are as in the kernel,
negative errno for failure. Parameters without an annotation of the language do not exist.
"""
