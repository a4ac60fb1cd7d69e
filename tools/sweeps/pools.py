"""Executors by name, each with two workers."""

from __future__ import annotations

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

NAMES = ("threads", "fork", "spawn", "loky", "dask", "executorlib", "parsl", "mpi", "submitit")


def make(name: str, stack: ExitStack) -> Any:
    """An executor that `stack` closes."""
    if name == "threads":
        return stack.enter_context(ThreadPoolExecutor(2))
    if name in ("fork", "spawn"):
        return stack.enter_context(ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(name)))
    if name == "submitit":
        import submitit

        jobs = submitit.LocalExecutor(folder=tempfile.mkdtemp())
        jobs.update_parameters(timeout_min=5)
        return jobs
    return stack.enter_context(_OTHERS[name](stack))


def _loky(_stack: ExitStack) -> Any:
    from joblib.externals.loky import ProcessPoolExecutor as Loky

    return Loky(2)


def _dask(stack: ExitStack) -> Any:
    from dask.distributed import Client, LocalCluster

    options = {"dashboard_address": None, "host": "127.0.0.1", "silence_logs": 40}
    return Client(stack.enter_context(LocalCluster(n_workers=2, threads_per_worker=1, **options)))


def _executorlib(_stack: ExitStack) -> Any:
    from executorlib import SingleNodeExecutor

    return SingleNodeExecutor(max_workers=2, block_allocation=True, hostname_localhost=True)


def _parsl(_stack: ExitStack) -> Any:
    from parsl.concurrent import ParslPoolExecutor
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    place = LocalProvider(init_blocks=1, max_blocks=1)
    workers = HighThroughputExecutor(address="127.0.0.1", max_workers_per_node=2, provider=place)
    return ParslPoolExecutor(config=Config(executors=[workers], run_dir=tempfile.mkdtemp(), usage_tracking=0))


def _mpi(_stack: ExitStack) -> Any:
    from mpi4py.futures import MPIPoolExecutor

    return MPIPoolExecutor(2)


_OTHERS = {"loky": _loky, "dask": _dask, "executorlib": _executorlib, "parsl": _parsl, "mpi": _mpi}
