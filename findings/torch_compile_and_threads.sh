#!/usr/bin/env bash
# torch 2.13.0: two things about torch.compile and threads.
#
# 1. Settings of the compiler that are changed for a block (torch._dynamo.config.patch) hold in the thread that changed them.
#    A thread that is started inside the block sees the old ones: they are context variables. A function that compiles only with
#    such a setting is compiled without it there. contextvars.copy_context().run hands them on.
# 2. Compiled code belongs to a number of threads of torch (torch.set_num_threads, which is each thread's own). Called with
#    another number, the function is compiled anew, though nothing in it depends on it.
#
# Run: bash findings/torch_compile_and_threads.sh    (needs the package index; a few minutes, 1 GB in a temporary folder)
# Output seen:
#     inside the block: this thread True, another thread False, another thread with this context True
#     compilations: 1 with one thread, 2 after a call with two threads
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.13.0 numpy
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import torch
from torch._dynamo import config
from torch._dynamo.testing import CompileCounter

with ThreadPoolExecutor(1) as other, config.patch(trace_autograd_ops=True):
    look = lambda: config.trace_autograd_ops
    here, there = look(), other.submit(look).result()
    handed_on = other.submit(copy_context().run, look).result()
print(f"inside the block: this thread {here}, another thread {there}, another thread with this context {handed_on}")

counter = CompileCounter()
double = torch.compile(lambda x: 2 * x + 1, backend=counter)
x = torch.ones(3)
torch.set_num_threads(1)
double(x), double(x)
first = counter.frame_count
torch.set_num_threads(2)
double(x)
print(f"compilations: {first} with one thread, {counter.frame_count} after a call with two threads")
assert (here, there, handed_on) == (True, False, True)
assert (first, counter.frame_count) == (1, 2)
PYTHON
