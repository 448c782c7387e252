#!/usr/bin/env bash
# flashbax 0.1.3 (JAX 0.10.2): two ways in which sequences that never happened get into its buffers and vaults.
#
# 1. make_trajectory_buffer(period=T, sample_sequence_length=T). A good guess: if only whole episodes of T steps are added, only whole episodes
#    are sampled, for windows begin at multiples of T. They do until the buffer is full. From then on they count from the oldest row that is
#    left, which is the start of an episode only where T divides the buffer's length. With max_size=100_000 and T=64 every window of the rest
#    of the training joins the end of one episode to the start of the next. Nothing warns, and the batches of the first rounds,
#    which are those one looks at, are right. What works: max_size = add_batch_size * T * N.
# 2. Vault. A good guess: a resumed run opens the vault by its vault_uid, and vault.write(state) of the restored buffer writes what is new, as it
#    says, and as it did in the first run. But how far a buffer was written is known to the object alone, not to the vault. The first write after
#    opening begins at the buffer's first row, so that all that was in the buffer is in the vault twice, joined in the middle. What works: to give
#    that write source_interval=(index of the last write, state.current_index).
#
# Run: bash findings/flashbax_windows_and_resumed_vaults.sh    (needs the package index; two minutes, 600 MB in a temporary folder)
# Output seen. Episodes of four steps, 0 to 3, 100 to 103, ..., in windows of four; then five rows, three more, and after opening again one more:
#     room for 10 rows, 2 episodes added: windows [0, 1, 2, 3], [100, 101, 102, 103]
#     room for 10 rows, 5 episodes added: windows [202, 203, 300, 301], [302, 303, 400, 401]
#     room for 8 rows, 5 episodes added: windows [300, 301, 302, 303], [400, 401, 402, 403]
#     vault: 5 rows written, then 3; opened again: 9 written, vault [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 8]
#     vault: with source_interval 1 written, vault [0, 1, 2, 3, 4, 5, 6, 7, 8]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install flashbax==0.1.3 jax==0.10.2 numpy==2.4.6
cd "$folder"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import contextlib
import io

import flashbax
import jax
import jax.numpy as jnp
from flashbax.vault import Vault


def buffer(room, length):
    return flashbax.make_trajectory_buffer(max_size=room, add_batch_size=1, sample_batch_size=256, sample_sequence_length=length, period=length, min_length_time_axis=length)


def windows(room, episodes):
    memory = buffer(room, 4)
    state = memory.init({"step": jnp.int32(0)})
    for episode in range(episodes):
        state = memory.add(state, {"step": 100 * episode + jnp.arange(4, dtype=jnp.int32)[None]})
    found = sorted(map(list, {tuple(row) for row in memory.sample(state, jax.random.PRNGKey(0)).experience["step"].tolist()}))
    print(f"room for {room} rows, {episodes} episodes added: windows {str(found)[1:-1]}")
    return all(row == list(range(row[0] // 100 * 100, row[0] // 100 * 100 + 4)) for row in found)


assert windows(10, 2) and not windows(10, 5) and windows(8, 5)


def resumed(uid, **how):
    memory = buffer(100, 1)
    open_vault = lambda: Vault("demonstrations", state.experience, vault_uid=uid)
    add = lambda rows: memory.add(state, {"step": jnp.arange(*rows, dtype=jnp.int32)[None]})
    state, counts = memory.init({"step": jnp.int32(0)}), []
    with contextlib.redirect_stdout(io.StringIO()):
        vault = open_vault()
        for rows in ((0, 5), (5, 8)):
            state = add(rows)
            counts.append(vault.write(state))
        vault = open_vault()  # as in a new process
        state = add((8, 9))
        counts.append(vault.write(state, **how))
    return *counts, vault.read().experience["step"][0].tolist()


first, second, third, rows = resumed("a")
print(f"vault: {first} rows written, then {second}; opened again: {third} written, vault {rows}")
assert (first, second, third) == (5, 3, 9) and rows == [*range(8), *range(9)]
*_, third, rows = resumed("b", source_interval=(8, 9))
print(f"vault: with source_interval {third} written, vault {rows}")
assert rows == [*range(9)]
PYTHON
