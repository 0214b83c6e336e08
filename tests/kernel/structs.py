"""Structs and maps that several tests use."""

from penstock.lang import Array, Struct, array, be16, be32, u8, u16, u32, u64


class Endpoint(Struct):
    address: be32
    port: be16
    spare: u16


class Counters(Struct):
    packets: u64
    bytes: u32
    slots: Array[u8] = array(3)
