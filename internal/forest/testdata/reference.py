"""The numbers of TestDecisionTreesAreScikitLearns: python3 reference.py, with scikit-learn 1.9.1."""
import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

i = np.arange(2000)
x = np.stack([i * 7919 % 101, i * 104729 % 97, i * 1299709 % 89], 1).astype(float)
score = x[:, 0] + np.where(x[:, 1] > 40, 30, 0) + i * 31 % 53
classes = {"two": (score > 100).astype(int), "three": np.digitize(score, [70, 110])}
weights = {"two": {0: 1, 1: 3}, "three": {0: 1, 1: 0.5, 2: 2}}


def show(name, model):
    p = model.predict_proba(x) if hasattr(model, "predict_proba") else model.predict(x)[:, None]
    print(f'{{"{name}", {model.get_n_leaves()}, {(p ** 2).sum():.9f}}},')


for k, y in classes.items():
    show(k, DecisionTreeClassifier(max_depth=6, random_state=1).fit(x, y))
    show(k + ", weighted", DecisionTreeClassifier(max_depth=6, class_weight=weights[k], random_state=1).fit(x, y))
    show(k + ", min_gain", DecisionTreeClassifier(max_depth=6, min_impurity_decrease=0.002, random_state=1).fit(x, y))
    show(k + ", alpha", DecisionTreeClassifier(max_depth=10, ccp_alpha=0.002, random_state=1).fit(x, y))
show("numbers", DecisionTreeRegressor(max_depth=6, random_state=1).fit(x, score))
show("numbers, min_gain", DecisionTreeRegressor(max_depth=6, min_impurity_decrease=1.5, random_state=1).fit(x, score))
show("numbers, alpha", DecisionTreeRegressor(max_depth=10, ccp_alpha=1.5, random_state=1).fit(x, score))
