"""N tasks one after the other in Luigi with its local scheduler, each `python3 fibo.py K` and a file that says that it was
done: Luigi's only state. Prints the seconds of the whole build."""
import json
import os
import logging
import subprocess
import sys
import time

import luigi

n, k, home = int(sys.argv[1]), sys.argv[2], sys.argv[3]
logging.disable(logging.CRITICAL)


class Fibo(luigi.Task):
    i = luigi.IntParameter()

    def requires(self):
        return [Fibo(i=self.i - 1)] if self.i else []

    def output(self):
        return luigi.LocalTarget(f"{home}/{self.i}")

    def run(self):
        out = subprocess.run([os.environ["FIBO_PYTHON"], "python/fibo.py", k], check=True, capture_output=True).stdout.decode()
        with self.output().open("w") as f:
            f.write(out)


begun = time.monotonic()
luigi.build([Fibo(i=n - 1)], local_scheduler=True, log_level="CRITICAL")
print(json.dumps(time.monotonic() - begun))
