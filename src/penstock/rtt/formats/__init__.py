"""Output formats by name: ePPing's, field for field."""

from penstock.rtt.formats.base import Aggregation, Format
from penstock.rtt.formats.json import Json, JsonLines
from penstock.rtt.formats.ppviz import PpViz
from penstock.rtt.formats.standard import Standard

FORMATS: dict[str, type[Format]] = {"standard": Standard, "json": Json, "jsonl": JsonLines, "ppviz": PpViz}

__all__ = ["FORMATS", "Aggregation", "Format"]
