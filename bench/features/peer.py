"""What tsfresh takes for the features that bench/features computes: peer.py FILE SERIES POINTS NAMES, called by main.go.
NAMES is a file of tsfresh's column names. The rows are in memory as a DataFrame when the clock starts."""
import json
import resource
import sys
import time
import warnings

import numpy as np
import pandas as pd
import tsfresh
from tsfresh.feature_extraction.settings import from_columns

warnings.simplefilter("ignore")


def cpu():
    return sum(r.ru_utime + r.ru_stime for r in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


if __name__ == "__main__":
    series, points = int(sys.argv[2]), int(sys.argv[3])
    frame = pd.DataFrame({
        "id": np.repeat(np.arange(series), points),
        "second": np.tile(np.arange(points), series),
        "speed": np.fromfile(sys.argv[1], dtype="<f8"),
    })
    names = open(sys.argv[4]).read().split()
    settings = from_columns(names)
    results = []
    for jobs in (0, 2):
        wall, before = time.perf_counter(), cpu()
        found = tsfresh.extract_features(frame, column_id="id", column_sort="second", kind_to_fc_parameters=settings, n_jobs=jobs, disable_progressbar=True)
        results.append({"what": f"tsfresh {tsfresh.__version__}, n_jobs = {jobs}", "wall": time.perf_counter() - wall, "cpu": cpu() - before})
    assert set(found.columns) == set(names), sorted(set(names) ^ set(found.columns))
    found[names].to_numpy(dtype="<f8").tofile(sys.argv[1] + ".features")
    print(json.dumps(results))
