"""A report: what experiments found, as one HTML file with its pictures in it, and the data beside it.

It needs nothing else: no script, no network.
"""

from penstock.experiments.report.writing import ReportError, as_text, check, write

__all__ = ["ReportError", "as_text", "check", "write"]
