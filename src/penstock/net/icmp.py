"""Echo request and reply of ICMP (RFC 792) and ICMPv6 (RFC 4443)."""

from __future__ import annotations

from typing import Final

from penstock.lang import Struct, be16, u8

REQUEST: Final = 8
REPLY: Final = 0
REQUEST_V6: Final = 128
REPLY_V6: Final = 129


class Echo(Struct, packed=True):
    """The header of a request or reply; its first four bytes are those of any ICMP message."""

    kind: u8
    code: u8
    checksum: be16
    identifier: be16
    sequence: be16
