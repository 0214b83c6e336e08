"""What the kernel refuses, in words: what was tried, why not, what to do."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from penstock.errors import KernelError
from penstock.kernel.capabilities import Capability, missing

if TYPE_CHECKING:
    from collections.abc import Generator


@contextlib.contextmanager
def attempt(action: str, *needs: Capability) -> Generator[None]:
    """Turn an OSError from within into a KernelError that says `cannot ACTION` and why.

    Args:
        action: What is tried, on what: "create map flows".
        needs: Capabilities that it takes, named if the kernel says EPERM.
    """
    try:
        yield
    except OSError as error:
        raise KernelError(f"cannot {action}: {_reason(error, needs)}") from error


def _reason(error: OSError, needs: tuple[Capability, ...]) -> str:
    if error.errno not in (errno.EPERM, errno.EACCES):
        return (error.strerror or str(error)).lower()
    lacking = missing(needs)
    if lacking:
        return f"not permitted: this process lacks {' and '.join(lacking)}; run it as root"
    return "not permitted, though it has the capability: a user namespace, memlock limit or security module"
