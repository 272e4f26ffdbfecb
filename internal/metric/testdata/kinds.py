"""Makes kinds.json with scikit-learn and SciPy: rows, and the figures that package metric must give for them.

    python3 kinds.py > kinds.json        # made with scikit-learn 1.9.1, SciPy 1.16 or newer, numpy's default_rng(21)
"""
import json

import numpy as np
import scipy
import sklearn
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp
from sklearn import metrics as m
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LinearRegression

rng = np.random.default_rng(21)
n, k = 300, 4
y = rng.choice(k, n, p=[0.4, 0.3, 0.2, 0.1])
z = rng.normal(0, 1, (n, k))
z[np.arange(n), y] += 1.2
p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
p[:, -1] = 1 - p[:, :-1].sum(1)
w = np.round(rng.gamma(2, 1, n) + 0.1, 2)
hard = p.argmax(1)
precision, recall, f1, support = m.precision_recall_fscore_support(y, hard)
classes = {
    "probabilities": p.T.tolist(), "labels": y.tolist(), "weights": w.tolist(),
    "metrics": {
        "accuracy": m.accuracy_score(y, hard), "balanced_accuracy": m.balanced_accuracy_score(y, hard),
        "weighted_accuracy": m.accuracy_score(y, hard, sample_weight=w), "macro_f1": m.f1_score(y, hard, average="macro"),
        "weighted_f1": m.f1_score(y, hard, average="weighted"), "macro_auc": m.roc_auc_score(y, p, multi_class="ovr", average="macro"),
        "log_loss": m.log_loss(y, p), "brier": float(((p - np.eye(k)[y]) ** 2).sum(1).mean()),
        "precision.c": precision[2], "recall.c": recall[2], "f1.c": f1[2], "auc.c": m.roc_auc_score(y == 2, p[:, 2]),
    },
    "confusion": m.confusion_matrix(y, hard).tolist(),
}

actual = np.round(rng.normal(50, 12, n), 2)
predicted = np.round(actual * 0.8 + 9 + rng.normal(0, 5, n), 2)
residuals = actual - predicted
numbers = {
    "actual": actual.tolist(), "predicted": predicted.tolist(), "weights": w.tolist(),
    "metrics": {
        "rmse": m.root_mean_squared_error(actual, predicted), "mae": m.mean_absolute_error(actual, predicted), "r2": m.r2_score(actual, predicted),
        "mape": m.mean_absolute_percentage_error(actual, predicted), "median_absolute_error": m.median_absolute_error(actual, predicted),
        "max_error": m.max_error(actual, predicted), "bias": float((predicted - actual).mean()), "mean_rmse": float(actual.std()),
        "weighted_rmse": m.root_mean_squared_error(actual, predicted, sample_weight=w), "weighted_mae": m.mean_absolute_error(actual, predicted, sample_weight=w),
    },
    "residuals": np.quantile(residuals, [0, .01, .05, .1, .25, .5, .75, .9, .95, .99, 1]).tolist(),
}

before, now = rng.integers(0, 20, 500), np.minimum(rng.integers(2, 24, 400), 22)
values = np.arange(24)
shares = [np.array([(side == v).mean() for v in values]) for side in (before, now)]
drift = {"before": before.tolist(), "now": now.tolist(), "ks": ks_2samp(before, now).statistic}
merged = [np.concatenate([s[:20], [s[20:].sum()]]) for s in shares]
drift["js"] = jensenshannon(merged[0], merged[1], base=2) ** 2

x = np.round(rng.normal(0, 1, (200, 3)), 3)
x[:, 2] = rng.integers(0, 5, 200)
target = x[:, 0] * 2 + x[:, 1] * x[:, 2]
linear = LinearRegression().fit(x, target)
pd = partial_dependence(linear, x, [2], kind="average", grid_resolution=100)
dependence = {"x": x.T.tolist(), "coefficients": linear.coef_.tolist(), "intercept": linear.intercept_,
              "grid": pd["grid_values"][0].tolist(), "average": pd["average"][0].tolist()}
print(json.dumps({"versions": [sklearn.__version__, scipy.__version__], "classes": classes, "numbers": numbers, "drift": drift, "dependence": dependence}))
