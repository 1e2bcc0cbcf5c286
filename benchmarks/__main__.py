"""`python -m benchmarks`: runs the benchmarks asked for and prints their reports.

An aim that is not met is shown, it is no failure: the machine may be busy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from benchmarks.catalogue import BENCHMARKS
from benchmarks.support.options import QUICK_SIZES, SIZES, Options
from benchmarks.support.report import Report, print_report

NARROWEST = 116


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _parser()
    given = parser.parse_args(arguments)
    names = given.names or [name for name, one in BENCHMARKS.items() if not one.only_by_name]
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, NARROWEST))
    orders = given.orders or (QUICK_SIZES if given.quick else SIZES)
    reports = []
    for name in names:
        with console.status(f"{name} …") as status:

            def say(text: str, at: str = name, status: Status = status) -> None:
                status.update(f"{at}: {text}")

            report = BENCHMARKS[name].run(Options(orders, given.quick, given.minutes, say))
        print_report(console, report)
        reports.append(report)
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    console.print(
        f"{_machine()['cpus']} cores, load averages {busy}. Beside other work trust CPU seconds, "
        "counts and ratios, not wall seconds.",
        style="dim",
    )
    if given.json:
        given.json.write_text(json.dumps(_data(reports), indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    about = "\n".join(f"  {name:10} {one.about}" for name, one in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"The project's own benchmarks:\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    apart = " and ".join(name for name, one in BENCHMARKS.items() if one.only_by_name)
    parser.add_argument("names", nargs="*", metavar="name", help=f"without: all but {apart}")
    parser.add_argument("--quick", action="store_true", help="the smallest size, fewer rounds")
    parser.add_argument("--minutes", type=float, default=60.0, help="of soak; 60 by default")
    parser.add_argument("--orders", type=_sizes, help="sizes of shops, as 2000,20000,200000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError("expected numbers above 0, as 2000,20000")
    return tuple(sorted({int(part) for part in parts}))


def _machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _data(reports: Sequence[Report]) -> dict[str, Any]:
    loads = [round(load, 2) for load in os.getloadavg()]
    return {
        "machine": _machine() | {"load_averages": loads},
        "benchmarks": {report.name: report.data() for report in reports},
    }


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)  # as Ctrl-C: servers and temporary homes are cleared away
    main()
