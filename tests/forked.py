"""Scripts in processes of their own that begin with torch and TorchRL loaded: a start takes a second instead of five.

`multiprocessing`'s server loads these once, and forks for each script. rlopt is not among them: a script imports it itself.
"""

import atexit
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torchrl.collectors", "gymnasium"])


def start(command, cwd, env, output, *, ignored=()) -> ForkServerProcess:
    """Begin a script with its arguments, its streams `stdout` and `stderr` into files of the folder `output`."""
    process = _CONTEXT.Process(target=_become, args=([*map(str, command)], str(cwd), env, str(output), ignored))
    process.start()
    return process


def run(command, cwd, env, timeout=300) -> subprocess.CompletedProcess:
    """A script with its arguments, as `subprocess.run` would run it and tell."""
    with tempfile.TemporaryDirectory() as folder:
        process = start(command, cwd, env, folder)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(command, timeout)
        streams = ((Path(folder) / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(command, process.exitcode, *streams)


def _become(command, cwd, env, output, ignored):
    import torch

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(os.path.join(output, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    torch.set_num_threads(int(env["OMP_NUM_THREADS"]))  # OpenMP has read its variable
    sys.argv = command
    sys.path.insert(0, os.path.dirname(os.path.abspath(command[0])))
    try:
        runpy.run_path(command[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()
