"""The front end: Python source to typed IR.

There is one file for each kind of construct, found through two registries. To add one, support its syntax in
`syntax`, write a function that lowers it, and register it with `@lowers(STATEMENTS, …)` or
`@lowers(EXPRESSIONS, …)`. Methods of maps are in `maps`, what else is built in is in `builtin`. To see what
becomes of a program: `print(penstock.compiler.ir_text.dump(lower(program)))`.
"""

from penstock.compiler.frontend import calls, conditions, expressions, locks, loops, operators, statements
from penstock.compiler.frontend.functions import lower

__all__ = ["calls", "conditions", "expressions", "locks", "loops", "lower", "operators", "statements"]
