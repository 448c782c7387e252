"""The parts of `benchmark_throughput.py`: the contestants, each a process that imports one library alone (`*_sac.py`),
and what is measured of rlopt by itself.
"""
