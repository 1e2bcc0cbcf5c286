"""Runs whose process is gone: found and ended, so that they do not hold their places for ever.

Dagster's default launcher notices the death of a run only while the server that started it lives: a
killed command line or a machine that was switched off leaves runs that look as if they went on. Not
here: synchronisations whose run is gone, the registry ends those (`release_dead`).
"""

from __future__ import annotations

import os
import socket

import dagster as dg
import psutil

TAG = "cscart/process"
ALIVE = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def sign(instance: dg.DagsterInstance, run_id: str) -> None:
    """Writes on the run which process it is."""
    instance.add_run_tags(run_id, {TAG: _this_process()})


def end_dead(instance: dg.DagsterInstance) -> list[str]:
    """Marks runs of this machine as failed whose process is gone; returns their ids."""
    ended = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=ALIVE)):
        if _is_gone(run.tags.get(TAG, "")):
            instance.report_run_failed(run, "The process of this run is gone.")
            ended.append(run.run_id)
    return ended


def _this_process() -> str:
    return _signature(psutil.Process())


def _signature(process: psutil.Process) -> str:
    """With the time of its start, for numbers of processes are used again."""
    return f"{socket.gethostname()} {process.pid} {process.create_time():.2f}"


def _is_gone(signature: str) -> bool:
    host, _, rest = signature.partition(" ")
    number = rest.partition(" ")[0]
    if host != socket.gethostname() or not number.isdecimal() or int(number) == os.getpid():
        return False
    try:
        process = psutil.Process(int(number))
        return process.status() == psutil.STATUS_ZOMBIE or _signature(process) != signature
    except psutil.NoSuchProcess:
        return True
