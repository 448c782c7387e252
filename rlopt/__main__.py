"""`python -m rlopt` is the command `rlopt`."""

from rlopt.commands import main

main()
