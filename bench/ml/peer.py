"""What scikit-learn takes for the forest that bench/ml trains: python3 peer.py DIR ROWS FEATURES, called by main.go."""
import json
import os
import resource
import sys
import time

import numpy as np
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

directory, rows, features = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def read(name, n):
    raw = np.fromfile(os.path.join(directory, name), dtype=np.uint8)
    return raw[: 4 * n * features].view("<f4").reshape(n, features), raw[4 * n * features:]


def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    value = work()
    return value, time.perf_counter() - wall, time.process_time() - cpu


x, y = read("train", rows)
xt, yt = read("test", rows // 5)
forest = RandomForestClassifier(20, max_depth=8, max_features=2, min_samples_split=3, n_jobs=2, random_state=7)
_, wall, cpu = timed(lambda: forest.fit(x, y))
_, predict_wall, predict_cpu = timed(lambda: forest.predict_proba(x))
print(json.dumps({
    "version": sklearn.__version__, "wall": wall, "cpu": cpu, "auc": roc_auc_score(yt, forest.predict_proba(xt)[:, 1]),
    "predictwall": predict_wall, "predictcpu": predict_cpu, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
