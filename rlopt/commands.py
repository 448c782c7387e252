"""The command `rlopt NAME [flags]`: one line of `COMMANDS` for each script that it runs. Nothing heavy is imported here.

The scripts are shipped with the package (setup.py), so that a wheel has them without a checkout.
"""

import ast
import difflib
import runpy
import shlex
import sys
from pathlib import Path

import rlopt

COMMANDS = {
    "compare": "04_compare_methods.py",
    "collect": "01_collect_expert_data.py",
    "ipmd": "02_train_ipmd.py",
    "bc": "03_train_bc.py",
    "play": "play.py",
    "export": "export_policy.py",
    "import": "import_demonstrations.py",
    "plot": "plot_runs.py",
    "reproduce": "reproduce_results.py",
    "study-demonstrations": "study_demonstrations.py",
    "study-ablations": "study_ablations.py",
}
"""Name to script, in the order of the help."""
USAGE = "usage: rlopt COMMAND [flags]\n       rlopt --help | --version"
_typed: str | None = None
"""The command that this process is; None: a script, or a user's own program."""


def scripts_folder() -> Path:
    """Where the scripts are: in the package if it was installed, else beside it."""
    shipped = Path(__file__).with_name("scripts")
    return shipped if shipped.is_dir() else Path(__file__).parents[1] / "scripts"


def available() -> dict[str, Path]:
    """The commands whose scripts are there, with their paths."""
    paths = {name: scripts_folder() / script for name, script in COMMANDS.items()}
    return {name: path for name, path in paths.items() if path.is_file()}


def called(name: str, before: str = "") -> str:
    """What a user types for a command, in a sentence: `rlopt ipmd`, or `before` and the path of the script from a checkout."""
    as_command = _typed is not None or scripts_folder().parent == Path(__file__).parent
    return f"rlopt {name}" if as_command else f"{before}scripts/{COMMANDS[name]}"


def program() -> str | None:
    """This program's name in its usage line; None: that of the script."""
    return None if _typed is None else f"rlopt {_typed}"


def started_by() -> str | None:
    """What was typed to start this process, if it is one of the scripts: `python scripts/02_train_ipmd.py --frames 20000`."""
    name, *flags = sys.argv
    if _typed is None and Path(name).name not in COMMANDS.values():
        return None
    return shlex.join([*(["rlopt", _typed] if _typed else ["python", name]), *flags])


def main() -> None:
    """Run the command that was typed, as its script would run."""
    global _typed
    name, *flags = sys.argv[1:] or [""]
    if name in ("-h", "--help"):
        print(overview())
    elif name == "--version":
        print(f"rlopt {rlopt.__version__}")
    elif name in available():
        _typed = name
        sys.argv = [sys.argv[0], *flags]
        runpy.run_path(str(available()[name]), run_name="__main__")
    else:
        close = difflib.get_close_matches(name, available(), n=1)
        hint = f"did you mean {close[0]}?" if close else "rlopt --help lists them."
        print(f"error: There is no command {name!r}: {hint}" if name else USAGE, file=sys.stderr)
        sys.exit(2)


def overview() -> str:
    """The help: every command, with the first line of its script."""
    lines = [USAGE, "", rlopt.__doc__ or "", "", "commands:"]
    for name, path in available().items():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        lines.append(f"  {name:22}{text.partition(chr(10))[0]}")
    return "\n".join([*lines, "", "rlopt COMMAND --help lists a command's flags."])
