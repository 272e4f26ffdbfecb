"""What scikit-learn takes for the clusterings that bench/cluster makes: python3 peer.py FILE ROWS FEATURES K BEGINNINGS, called by main.go."""
import json
import sys
import time

import numpy as np
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

rows, features, k, beginnings = map(int, sys.argv[2:6])
x = np.ascontiguousarray(np.fromfile(sys.argv[1], dtype="<f8").reshape(features, rows).T)
KMeans(k, n_init=1, random_state=0).fit(x[:1000])  # threads are started
iterations, inertia = 0, np.inf
wall, cpu = time.perf_counter(), time.process_time()
for seed in range(beginnings):
    fit = KMeans(k, n_init=1, random_state=seed).fit(StandardScaler().fit_transform(x))
    iterations, inertia = iterations + fit.n_iter_, min(inertia, fit.inertia_)
print(json.dumps({"Wall": time.perf_counter() - wall, "CPU": time.process_time() - cpu, "Iterations": iterations, "Inertia": inertia}))
