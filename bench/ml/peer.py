"""What scikit-learn and LightGBM take for the models that bench/ml trains: python3 peer.py DIR ROWS FEATURES, called by main.go; with SEEDS
behind it, the AUC of so many forests."""
import json
import os
import sys
import time

import numpy as np

directory, rows, features = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
results = []


def read(name, n):
    raw = np.fromfile(os.path.join(directory, name), dtype=np.uint8)
    return raw[: 4 * n * features].view("<f4").reshape(n, features), raw[4 * n * features:]


def timed(what, work):
    wall, cpu = time.perf_counter(), time.process_time()
    value = work()
    results.append({"what": what, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu})
    return value


def auc(y, p):
    """The share of pairs of a row of class 1 and one of class 0 that p orders rightly; scores without ties."""
    ranks = np.empty(len(p))
    ranks[np.argsort(p, kind="stable")] = np.arange(1, len(p) + 1)
    n1 = int(y.sum())
    return float((ranks[y == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * (len(y) - n1)))


x, y = read("train", rows)
xt, yt = read("test", rows // 5)

try:
    import sklearn
    from sklearn.ensemble import RandomForestClassifier

    def forest(seed):
        return RandomForestClassifier(20, max_depth=8, max_features=2, min_samples_split=3, n_jobs=2, random_state=seed)
except ImportError:
    forest = None

if len(sys.argv) > 4:
    seeds = range(int(sys.argv[4]) if forest else 0)
    print(json.dumps([auc(yt, forest(seed).fit(x, y).predict_proba(xt)[:, 1]) for seed in seeds]))
    sys.exit()

if forest:
    fitted = forest(7)
    timed(f"scikit-learn: fit, 2 jobs ({sklearn.__version__})", lambda: fitted.fit(x, y))
    results[-1]["auc"] = auc(yt, fitted.predict_proba(xt)[:, 1])
    timed("scikit-learn: predict training rows", lambda: fitted.predict_proba(x))

try:
    import lightgbm

    def train():
        data = lightgbm.Dataset(x, y, params={"max_bin": 255, "num_threads": 2, "verbose": -1})
        return lightgbm.train({"objective": "binary", "num_leaves": 31, "learning_rate": 0.1, "max_bin": 255, "num_threads": 2,
                               "min_data_in_leaf": 20, "force_col_wise": True, "verbose": -1}, data, 100)

    model = timed(f"LightGBM: bin and train, 2 threads ({lightgbm.__version__})", train)
    results[-1]["auc"] = auc(yt, model.predict(xt))
    timed("LightGBM: predict training rows", lambda: model.predict(x, num_threads=2))
except ImportError:
    pass

print(json.dumps(results))
