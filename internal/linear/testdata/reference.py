"""Makes reference.json with scikit-learn: rows, and the coefficients that package linear must give for them.

    python3 reference.py > reference.json        # made with scikit-learn 1.9.1, numpy's default_rng(20)

Columns go through SimpleImputer(mean) and StandardScaler, categories are 0/1 columns without scaling, as package linear
does it. Its penalty λ is alpha in ElasticNet, and 1/(C·Σw) in LogisticRegression.
"""
import json

import numpy as np
import sklearn
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(20)
n = 300
x = rng.normal(0, 1, (n, 5)) * [1, 10, 0.01, 1000, 1] + [0, 3, 5, -2000, 0]
x[:, 4] = x[:, 0] * 0.9 + x[:, 4] * 0.3  # correlated
city = rng.integers(0, 3, n)
missing = rng.random(n) < 0.1
z = (x - x.mean(0)) / x.std(0)
score = z @ [1, -0.5, 0.25, 0, 0.5] + np.array([0.5, -0.5, 0])[city]
number = np.round(7 + 3 * score + rng.normal(0, 1, n), 3)
two = (score + rng.logistic(0, 1, n) > 0.3).astype(int)
three = np.argmax(np.stack([score, -score, 0.5 * z[:, 1] + 0.3], 1) + rng.gumbel(0, 1, (n, 3)), 1)
w = np.round(rng.gamma(2, 1, n) + 0.1, 2)
x[missing, 1] = np.nan
x = np.round(x, 4)

full = SimpleImputer().fit_transform(x)


def design(sample_weight):
    # The imputed mean is weighted too.
    a = x.copy()
    a[missing, 1] = np.average(x[~missing, 1], weights=sample_weight[~missing])
    return StandardScaler().fit(a, sample_weight=sample_weight).transform(a)


onehot = np.eye(3)[city]
ones = np.ones(n)
cases = []


def case(name, kind, fit, penalty, l1_ratio=0.0, categories=False, weighted=False, balanced=False):
    weights = w if weighted else ones
    a = design(weights)
    if categories:
        a = np.hstack([a, onehot])
    m = fit(a, weights)
    cases.append({
        "name": name, "kind": kind, "penalty": penalty, "l1_ratio": l1_ratio, "categories": categories, "weighted": weighted,
        "balanced": balanced, "coefficients": np.atleast_2d(m.coef_).tolist(), "intercepts": np.atleast_1d(m.intercept_).tolist(),
    })


def logistic(y, penalty, l1_ratio, balanced=False, tol=1e-13):
    def fit(a, weights):
        s = weights.copy()
        if balanced:
            total = s.sum()
            for c in np.unique(y):
                s[y == c] *= total / (len(np.unique(y)) * weights[y == c].sum())
        C = np.inf if penalty == 0 else 1 / (penalty * s.sum())
        if l1_ratio == 0:
            m = LogisticRegression(C=C, solver="newton-cg" if len(np.unique(y)) > 2 else "newton-cholesky", tol=tol, max_iter=10_000)
        else:
            m = LogisticRegression(C=C, l1_ratio=l1_ratio, solver="saga", tol=tol, max_iter=2_000_000, random_state=1)
        return m.fit(a, y, sample_weight=s)
    return fit


elastic = lambda alpha, ratio: lambda a, s: ElasticNet(alpha=alpha, l1_ratio=ratio, tol=1e-14, max_iter=1_000_000).fit(a, number, sample_weight=s)
case("least squares", 0, lambda a, s: LinearRegression().fit(a, number, sample_weight=s), 0)
case("ridge", 0, lambda a, s: Ridge(alpha=0.5 * s.sum(), tol=1e-14).fit(a, number, sample_weight=s), 0.5, 0)
case("elastic net", 0, elastic(0.1, 0.5), 0.1, 0.5)
case("lasso with categories and weights", 0, elastic(0.2, 1.0), 0.2, 1.0, categories=True, weighted=True)
case("logistic without a penalty", 2, logistic(two, 0, 0), 0)
case("logistic ridge with categories", 2, logistic(two, 0.01, 0), 0.01, 0, categories=True)
case("logistic elastic net, weighted", 2, logistic(two, 0.02, 0.5), 0.02, 0.5, weighted=True)
case("logistic lasso, balanced", 2, logistic(two, 0.03, 1.0, balanced=True), 0.03, 1.0, categories=True, balanced=True)
case("three classes, ridge", 3, logistic(three, 0.02, 0), 0.02, 0, categories=True)
case("three classes, elastic net, weighted", 3, logistic(three, 0.02, 0.5), 0.02, 0.5, weighted=True)
print(json.dumps({
    "version": sklearn.__version__,
    "x": [[None if np.isnan(v) else v for v in column] for column in x.T.tolist()],
    "city": city.tolist(), "weights": w.tolist(), "number": number.tolist(), "two": two.tolist(), "three": three.tolist(),
    "cases": cases,
}))
