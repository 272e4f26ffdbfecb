"""Prints what scikit-learn reaches on the rows of rows.sql: pooled 5-fold AUC by person, mean of ten seeds.

    python3 reference.py        # scikit-learn 1.9.1 printed the numbers that train_test.go compares with
"""
import hashlib

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

n = 4000
u = np.array([[int(hashlib.md5(f"{i}|{k}".encode()).hexdigest()[:7], 16) / 2**28 for k in range(8)] for i in range(n)])
i = np.arange(n)
bonus = (u[:, 2] > 0.3).astype(float)
y = (u[:, 0] + u[:, 1] ** 2 + 0.4 * bonus + u[:, 6] + (i % 40) * 0.005 > 1.75).astype(int)
x = np.column_stack([np.where(u[:, 7] < 0.05, np.nan, u[:, 0]), u[:, 1], bonus, np.round(u[:, 3] * 100), u[:, 4], u[:, 5]])
aucs = []
for seed in range(10):
    p = np.zeros(n)
    for train, test in GroupKFold(5, shuffle=True, random_state=seed).split(x, y, i % 40):
        forest = RandomForestClassifier(100, max_depth=8, max_features=2, min_samples_leaf=5, random_state=seed, n_jobs=2)
        p[test] = forest.fit(x[train], y[train]).predict_proba(x[test])[:, 1]
    aucs.append(roc_auc_score(y, p))
print(f"positives {y.sum()} auc {np.mean(aucs):.4f} ± {np.std(aucs):.4f}")
