"""Writes tabular.tsv: what scikit-learn's models say on small tables that the test makes too.

    python3 tests/zoo/goldens/tabular.py        (Debian: python3-sklearn; made with 1.2.1)
"""
import os

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR, LinearSVC

N, P, TRAIN = 80, 4, 60
x = np.array([[((i * 37 + j * 61 + i * i * 13 + j * i * 7) % 101) / 50.0 - 1 for j in range(P)]
              for i in range(N)], dtype=np.float32).astype(np.float64)
labels = np.array([(0 if r[0] + 0.5 * r[1] > 0.3 else 1 if r[2] > r[3] else 2) if i % 9 else
                   (i // 9) % 3 for i, r in enumerate(x)])
targets = 3 * x[:, 0] - 2 * x[:, 1] * x[:, 2] + x[:, 3]
xt, lt, tt, xe = x[:TRAIN], labels[:TRAIN], targets[:TRAIN], x[TRAIN:]

rows = {
    "labels": labels,
    "targets": targets,
    "linear classes": LogisticRegression(C=1.0, tol=1e-12, max_iter=100000).fit(xt, lt)
    .predict_proba(xe),
    "linear values": Ridge(alpha=1.0).fit(xt, tt).predict(xe),
    "linear margins": LinearSVC(C=0.5, dual=True, tol=1e-10, max_iter=1000000).fit(xt, lt)
    .decision_function(xe),
    "k_nearest classes": KNeighborsClassifier(5).fit(xt, lt).predict_proba(xe),
    "k_nearest values": KNeighborsRegressor(5, weights="distance").fit(xt, tt).predict(xe),
    "svm values": SVR(gamma="scale", C=1.0, epsilon=0.1).fit(xt, tt).predict(xe),
    "svm linear values": SVR(kernel="linear", C=1.0, epsilon=0.1).fit(xt, tt).predict(xe),
    "svm decisions": SVC(gamma="scale", C=1.0).fit(xt, lt == 0).decision_function(xe),
    "svm classes": SVC(gamma="scale", C=10.0).fit(xt, lt).predict(xe),
}
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "tabular.tsv"), "w") as f:
    for name, values in rows.items():
        f.write(name + "\t" + " ".join("%.7g" % v for v in np.ravel(values)) + "\n")
