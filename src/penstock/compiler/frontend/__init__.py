"""The front end: Python source to typed IR. One file for each kind of construct, found through two registries."""

from penstock.compiler.frontend import calls, expressions, loops, statements
from penstock.compiler.frontend.functions import lower

__all__ = ["calls", "expressions", "loops", "lower", "statements"]
