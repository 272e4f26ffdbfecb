"""Makes reference.json with scikit-learn: rows, and the figures that package metric must give for them.

    python3 reference.py > reference.json        # made with scikit-learn 1.9.1, numpy's default_rng(20)
"""
import json

import numpy as np
from sklearn import metrics as m
from sklearn.calibration import calibration_curve

rng = np.random.default_rng(20)
n = 400
y = (rng.random(n) < 0.4).astype(int)
p = np.clip(np.round(0.35 * y + rng.normal(0.35, 0.25, n), 2), 0, 1)  # two decimals: many ties; some 0 and 1
w = np.round(rng.gamma(2.0, 30.0, n) + 1, 1)
threshold = 0.5
hard = (p >= threshold).astype(int)
tn, fp, fn, tp = m.confusion_matrix(y, hard).ravel()
fpr, tpr, roc_t = m.roc_curve(y, p, drop_intermediate=False)
observed, predicted = calibration_curve(y, p, n_bins=10, strategy="uniform")
print(json.dumps({
    "probabilities": p.tolist(), "labels": y.tolist(), "weights": w.tolist(), "threshold": threshold,
    "metrics": {
        "auc": m.roc_auc_score(y, p), "pr_auc": m.average_precision_score(y, p),
        "accuracy": m.accuracy_score(y, hard), "weighted_accuracy": m.accuracy_score(y, hard, sample_weight=w),
        "precision": m.precision_score(y, hard), "recall": m.recall_score(y, hard), "f1": m.f1_score(y, hard),
        "log_loss": m.log_loss(y, p), "brier": m.brier_score_loss(y, p),
    },
    "confusion": {"true_positives": int(tp), "false_positives": int(fp), "true_negatives": int(tn), "false_negatives": int(fn)},
    "roc": [list(map(float, t)) for t in zip(fpr, tpr)],
    "calibration": [list(map(float, t)) for t in zip(predicted, observed)],
}, indent=None))
