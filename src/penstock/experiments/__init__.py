"""What queues and passive latency measurement do, shown on this machine with the kernel's own TCP.

Each experiment is one file, and a `Result` that anybody can draw or compute with:

    result = find("transition")(duration="2s", runs="1").run(print)
    print(result.results)
"""

from penstock.experiments.catalogue import find, names
from penstock.experiments.experiment import Experiment, Option
from penstock.experiments.result import Line, Plot, Result

__all__ = ["Experiment", "Line", "Option", "Plot", "Result", "find", "names"]
