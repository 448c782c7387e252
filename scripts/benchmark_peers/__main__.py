"""A contestant's process: `python -m benchmark_peers MODULE SETTINGS`."""

import importlib
import json
import sys

from . import protocol  # noqa: F401 - first: it takes standard output for the answers
from .settings import Settings

importlib.import_module(f".{sys.argv[1]}", __package__).main(Settings(**json.loads(sys.argv[2])))
