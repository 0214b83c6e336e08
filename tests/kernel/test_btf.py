"""The kernel's own types."""

import pytest

from penstock.errors import KernelError
from penstock.kernel import btf
from penstock.kernel.btf import kernel_functions
from penstock.kernel.features import KERNEL_TYPES


@pytest.mark.needs(KERNEL_TYPES)
def test_functions_by_name():
    names = ("bpf_rcu_read_lock", "bpf_rcu_read_unlock", "no_such_function_anywhere")
    found = kernel_functions(names)
    assert set(found) == set(names[:2])
    assert len(set(found.values())) == 2
    assert kernel_functions(names[1:2]) == {names[1]: found[names[1]]}


def test_a_kernel_without_types(monkeypatch, tmp_path):
    monkeypatch.setattr(btf, "_VMLINUX", tmp_path / "vmlinux")
    with pytest.raises(KernelError, match=r"cannot find kernel functions: this kernel has no .*/vmlinux"):
        kernel_functions(["bpf_rcu_read_lock"])
