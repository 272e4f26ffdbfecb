"""N tasks one after the other in Prefect, each `python3 fibo.py K`, with the server that a flow starts for itself and its
state in SQLite. Prints the seconds within the flow."""
import json
import os
import subprocess
import sys
import time

from prefect import flow, task

n, k = int(sys.argv[1]), sys.argv[2]


@task
def fibo(before):
    return subprocess.run([os.environ["FIBO_PYTHON"], "python/fibo.py", k], check=True, capture_output=True).stdout.decode()


@flow
def chain():
    begun, out = time.monotonic(), None
    for _ in range(n):
        out = fibo(out)
    return time.monotonic() - begun


@flow
def first():
    """Starts the server, which is no part of the measurement."""
    fibo(None)


first()
print(json.dumps(chain()))
