"""What scikit-learn takes for the fits of bench/linear: python3 peer.py FILE ROWS FEATURES, called by main.go."""
import json
import sys
import time

import numpy as np
import sklearn
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

path, n, features = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
raw = np.fromfile(path, "<f8").reshape(features + 2, n)
x, y, number = np.ascontiguousarray(raw[:features].T), raw[features].astype(int), raw[features + 1]
results = []


def timed(what, work, detail=lambda m: ""):
    wall, cpu = time.perf_counter(), time.process_time()
    value = work()
    results.append({"What": what, "Wall": time.perf_counter() - wall, "CPU": time.process_time() - cpu, "Detail": detail(value)})
    return value


def mean_loss(l1, l2):
    def of(m):
        score, b = m.decision_function(x), m[-1].coef_[0]
        loss = np.logaddexp(0, np.where(y == 1, -score, score)).mean() + l1 * np.abs(b).sum() + l2 / 2 * (b * b).sum()
        return f"{sklearn.__version__}, {m[-1].n_iter_} iterations, objective {loss:.12f}"
    return of


m = timed("logistic, ridge (lbfgs)", lambda: make_pipeline(StandardScaler(), LogisticRegression(C=1, max_iter=1000)).fit(x, y), mean_loss(0, 1 / n))
timed("logistic, ridge (newton-cholesky)", lambda: make_pipeline(StandardScaler(), LogisticRegression(C=1, solver="newton-cholesky")).fit(x, y), mean_loss(0, 1 / n))
timed("logistic, elastic net (saga, tol 1e-3)", lambda: make_pipeline(StandardScaler(), LogisticRegression(C=1000 / n, l1_ratio=0.5, solver="saga", tol=1e-3)).fit(x, y), mean_loss(0.0005, 0.0005))
timed("linear, elastic net", lambda: make_pipeline(StandardScaler(), ElasticNet(alpha=0.001, l1_ratio=0.5)).fit(x, number))
timed("logistic, predict", lambda: m.predict_proba(x))
print(json.dumps(results))
