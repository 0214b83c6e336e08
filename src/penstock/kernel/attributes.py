"""Arguments and results of bpf(2): `union bpf_attr` of include/uapi/linux/bpf.h, one class per member.

Each ends with the last field that this package uses; the kernel takes what is missing as zero.
"""

from __future__ import annotations

import ctypes
from typing import Annotated, TypeVar, get_type_hints

S = TypeVar("S", bound=type[ctypes.Structure])

U32 = Annotated[int, ctypes.c_uint32]
U64 = Annotated[int, ctypes.c_uint64]
NAME_LENGTH = 16
"""BPF_OBJ_NAME_LEN, the final zero byte included."""
Name = Annotated[bytes, ctypes.c_char * NAME_LENGTH]


def structure(cls: S) -> S:
    """Give a ctypes structure the fields that its annotations name."""
    hints = get_type_hints(cls, include_extras=True)
    own = [(name, hints[name].__metadata__[0]) for name in cls.__annotations__]
    cls._fields_ = own
    return cls


class Attributes(ctypes.Structure):
    """Base of all."""


@structure
class MapCreate(Attributes):
    """MAP_CREATE."""

    map_type: U32
    key_size: U32
    value_size: U32
    max_entries: U32
    map_flags: U32
    inner_map_fd: U32
    numa_node: U32
    map_name: Name
    map_ifindex: U32
    btf_fd: U32
    btf_key_type_id: U32
    btf_value_type_id: U32


@structure
class MapElement(Attributes):
    """MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, MAP_DELETE_ELEM; for MAP_GET_NEXT_KEY, `value` is where that goes."""

    map_fd: U32
    key: U64
    value: U64
    flags: U64


@structure
class MapBatch(Attributes):
    """MAP_*_BATCH."""

    in_batch: U64
    out_batch: U64
    keys: U64
    values: U64
    count: U32
    map_fd: U32
    elem_flags: U64
    flags: U64


@structure
class ProgLoad(Attributes):
    """PROG_LOAD."""

    prog_type: U32
    insn_cnt: U32
    insns: U64
    license: U64
    log_level: U32
    log_size: U32
    log_buf: U64
    kern_version: U32
    prog_flags: U32
    prog_name: Name
    prog_ifindex: U32
    expected_attach_type: U32
    prog_btf_fd: U32
    func_info_rec_size: U32
    func_info: U64
    func_info_cnt: U32
    line_info_rec_size: U32
    line_info: U64
    line_info_cnt: U32


@structure
class BtfLoad(Attributes):
    """BTF_LOAD."""

    btf: U64
    btf_log_buf: U64
    btf_size: U32
    btf_log_size: U32
    btf_log_level: U32


@structure
class ObjPin(Attributes):
    """OBJ_PIN and OBJ_GET."""

    pathname: U64
    bpf_fd: U32
    file_flags: U32


@structure
class TestRun(Attributes):
    """PROG_TEST_RUN."""

    prog_fd: U32
    retval: U32
    data_size_in: U32
    data_size_out: U32
    data_in: U64
    data_out: U64
    repeat: U32
    duration: U32
    ctx_size_in: U32
    ctx_size_out: U32
    ctx_in: U64
    ctx_out: U64
    flags: U32
    cpu: U32
    batch_size: U32


@structure
class GetId(Attributes):
    """*_GET_NEXT_ID (`start` to `next_id`) and *_GET_FD_BY_ID (of `start`)."""

    start: U32
    next_id: U32
    open_flags: U32


@structure
class GetInfo(Attributes):
    """OBJ_GET_INFO_BY_FD."""

    bpf_fd: U32
    info_len: U32
    info: U64


@structure
class LinkCreate(Attributes):
    """LINK_CREATE for XDP and TCX."""

    prog_fd: U32
    target_ifindex: U32
    attach_type: U32
    flags: U32
    relative_fd: U32
    expected_revision: U64


@structure
class LinkUpdate(Attributes):
    """LINK_UPDATE; with BPF_F_REPLACE only if the link has `old_prog_fd`."""

    link_fd: U32
    new_prog_fd: U32
    flags: U32
    old_prog_fd: U32


@structure
class EnableStats(Attributes):
    """ENABLE_STATS; 0 is BPF_STATS_RUN_TIME."""

    type: U32


@structure
class MapInfo(ctypes.Structure):
    """`struct bpf_map_info`."""

    type: U32
    id: U32
    key_size: U32
    value_size: U32
    max_entries: U32
    map_flags: U32
    name: Name


@structure
class ProgInfo(ctypes.Structure):
    """`struct bpf_prog_info`."""

    type: U32
    id: U32
    tag: U64
    jited_prog_len: U32
    xlated_prog_len: U32
    jited_prog_insns: U64
    xlated_prog_insns: U64
    load_time: U64
    created_by_uid: U32
    nr_map_ids: U32
    map_ids: U64
    name: Name
    ifindex: U32
    gpl_compatible: U32
    netns_dev: U64
    netns_ino: U64
    nr_jited_ksyms: U32
    nr_jited_func_lens: U32
    jited_ksyms: U64
    jited_func_lens: U64
    btf_id: U32
    func_info_rec_size: U32
    func_info: U64
    nr_func_info: U32
    nr_line_info: U32
    line_info: U64
    jited_line_info: U64
    nr_jited_line_info: U32
    line_info_rec_size: U32
    jited_line_info_rec_size: U32
    nr_prog_tags: U32
    prog_tags: U64
    run_time_ns: U64
    run_cnt: U64
    recursion_misses: U64
    verified_insns: U32


@structure
class LinkInfo(ctypes.Structure):
    """`struct bpf_link_info`, as XDP and TCX links fill it; `ifindex` is 0 once the interface is gone."""

    type: U32
    id: U32
    prog_id: U32
    reserved: U32
    ifindex: U32
    attach_type: U32
