"""UDP (RFC 768)."""

from __future__ import annotations

from penstock.lang import Struct, be16


class UDP(Struct, packed=True):
    """The header. `length` in bytes, with the header."""

    source: be16
    destination: be16
    length: be16
    checksum: be16
