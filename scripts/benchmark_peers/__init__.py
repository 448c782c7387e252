"""The parts of `benchmark_throughput.py`: contestants, each a process that imports one library (`*_sac.py`); rlopt alone."""
