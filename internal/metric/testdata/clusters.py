"""Makes clusters.json with scikit-learn: clusterings of rows, and what its metrics say of them.

    python3 clusters.py > clusters.json        # made with scikit-learn 1.9.0, numpy's default_rng(5)
"""
import json

import numpy as np
import sklearn
from sklearn import metrics

rng = np.random.default_rng(5)
cases = []


def case(name, x, clusters, labels=None):
    n, found = len(x), len(set(clusters))
    centres = np.array([x[clusters == c].mean(0) if (clusters == c).any() else np.zeros(x.shape[1]) for c in range(clusters.max() + 1)])
    distances = np.linalg.norm(x - centres[clusters], axis=1)
    want = {"inertia": float((distances ** 2).mean())}
    if 2 <= found < n:
        want["silhouette"] = metrics.silhouette_score(x, clusters)
        want["calinski_harabasz"] = metrics.calinski_harabasz_score(x, clusters)
        want["davies_bouldin"] = metrics.davies_bouldin_score(x, clusters)
    if labels is not None:
        seen = labels >= 0
        t, p = labels[seen], clusters[seen]
        want["adjusted_rand"] = metrics.adjusted_rand_score(t, p)
        want["normalized_mutual_info"] = metrics.normalized_mutual_info_score(t, p)
        want["homogeneity"], want["completeness"], want["v_measure"] = map(float, metrics.homogeneity_completeness_v_measure(t, p))
    cases.append({
        "name": name, "k": int(clusters.max()) + 1, "points": x.T.tolist(), "clusters": clusters.tolist(), "distances": distances.tolist(),
        "labels": None if labels is None else labels.tolist(), "metrics": {k: float(v) for k, v in want.items()},
    })


truth = rng.choice(3, 120, p=[0.5, 0.3, 0.2])
x = np.round(rng.normal(0, 1, (120, 5)) + 2.2 * np.eye(3, 5)[truth], 3)
clusters = np.argmin(((x[:, None, :] - 2.2 * np.eye(4, 5)[None]) ** 2).sum(-1), 1)
unknown = truth.copy()
unknown[::7] = -1
case("four clusters of three heaps", x, clusters)
case("with labels", x, clusters, truth)
case("with some labels", x, clusters, unknown)
case("a cluster of one row, one of none", x, np.where(np.arange(120) == 3, 5, clusters), truth)
case("one cluster", x, np.zeros(120, int), truth)
case("one label", x, clusters, np.zeros(120, int))
case("the labels themselves", x, truth, truth)
case("alike", np.ones((6, 2)), np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 1]))
print(json.dumps({"version": sklearn.__version__, "cases": cases}))
