"""Makes reference.json with scikit-learn: rows, and the clusters that package cluster must find in them.

    python3 reference.py > reference.json        # made with scikit-learn 1.9.0, numpy's default_rng(11)

Columns go through SimpleImputer(mean) and, where a case says so, StandardScaler. The best of 1000 beginnings is taken for the least
inertia that there is. Centres are in the features' own units, by falling number of rows.
"""
import json

import numpy as np
import sklearn
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(11)
middles = rng.uniform(-4, 4, (4, 4))
heap = rng.choice(4, 240, p=[0.4, 0.3, 0.2, 0.1])
x = (middles[heap] + rng.normal(0, 0.8, (240, 4))) * [1, 20, 0.05, 3] + [0, 100, 1, -7]
x = np.round(x, 4)
x[rng.random((240, 4)) < 0.04] = np.nan
full = SimpleImputer().fit_transform(x)
cases = []
for k in (2, 4):
    for standardise in (True, False):
        scaler = StandardScaler(with_std=standardise).fit(full)
        fit = KMeans(k, n_init=1000, tol=0, max_iter=1000, random_state=1).fit(scaler.transform(full))
        rows = np.bincount(fit.labels_, minlength=k)
        order = np.argsort(-rows, kind="stable")
        assert len(set(rows)) == k, "equally large clusters have no order here"
        cases.append({
            "name": f"{k} clusters, standardise {standardise}", "k": k, "standardise": standardise, "inertia": fit.inertia_,
            "centres": scaler.inverse_transform(fit.cluster_centers_)[order].tolist(), "rows": rows[order].tolist(),
        })
print(json.dumps({"version": sklearn.__version__, "x": [[None if np.isnan(v) else v for v in column] for column in x.T.tolist()], "cases": cases}))
