"""The limit on locked memory, which kernels before 5.11 hold against maps and programs."""

from __future__ import annotations

import contextlib
import functools
import resource


@functools.cache
def lift() -> None:
    """Lift it for this process, once, if that is allowed (CAP_SYS_RESOURCE).

    Where it is not, this is no error: newer kernels charge a cgroup instead, and an older one without room
    says EPERM at the map or program in question, and that message names the limit.
    """
    unlimited = resource.RLIM_INFINITY
    with contextlib.suppress(ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (unlimited, unlimited))
