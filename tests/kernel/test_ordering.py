"""The fence that weakly ordered processors need; it is compiled and called here too."""

from penstock.kernel import ordering


def test_the_compiled_fence_runs(monkeypatch):
    called = []
    compiled = ordering.compiled_fence()
    monkeypatch.setattr(ordering, "_IN_ORDER", False)
    monkeypatch.setattr(ordering, "compiled_fence", lambda: lambda: called.append(compiled()))
    ordering.fence()
    assert called == [None]
