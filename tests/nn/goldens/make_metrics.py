"""Makes metrics.txt with scikit-learn: the data of each case and what scikit-learn says of it.

A case: "case classes samples", a line of labels, a line of probabilities, then lines "name value...".
Regression cases: "regression samples", targets, predictions, then names and values.
"""
import os
import warnings

import numpy as np
import sklearn.metrics as m

warnings.filterwarnings("ignore")
out = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics.txt"), "w")
rng = np.random.default_rng(3)


def line(*items):
    out.write(" ".join(f"{x:.12g}" if isinstance(x, (float, np.floating)) else str(x) for x in items) + "\n")


def ece(y, p, bins):
    """Guo et al. 2017, from the definition; scikit-learn has none."""
    confidence, right = p.max(1), p.argmax(1) == y
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += abs(right[inside].mean() - confidence[inside].mean()) * inside.mean()
    return total


for classes, n, sharpness in [(2, 40, 1.0), (5, 60, 2.0), (10, 200, 4.0), (3, 30, 0.0)]:
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    if classes == 5:
        y[y == 4] = 3  # a class that never occurs
    logits = rng.normal(size=(n, classes)) + sharpness * np.eye(classes)[y] * rng.random((n, 1))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p = np.round(p, 2) if sharpness == 0 else p  # ties
    p[:, -1] += 1 - p.sum(1)
    p = p.astype(np.float32).astype(np.float64)
    labels = list(range(classes))
    line("case", classes, n)
    line(*y.tolist())
    out.write(" ".join(f"{v:.9g}" for v in p.ravel()) + "\n")
    guess = p.argmax(1)
    line("accuracy", m.accuracy_score(y, guess))
    line("confusion", *m.confusion_matrix(y, guess, labels=labels).ravel().tolist())
    per = m.precision_recall_fscore_support(y, guess, labels=labels, zero_division=0)
    for name, values in zip(["precision", "recall", "f1", "support"], per):
        line(name, *[float(v) for v in values])
    for average in ["macro", "weighted"]:
        a = m.precision_recall_fscore_support(y, guess, labels=labels, average=average, zero_division=0)
        line(average, *[float(v) for v in a[:3]])
    line("log_loss", float(m.log_loss(y, p, labels=labels)))
    line("brier", float(((p - np.eye(classes)[y]) ** 2).sum(1).mean()))
    for k in [1, 2, 3]:
        if k < classes and sharpness > 0 and classes > 2:
            line(f"top{k}", m.top_k_accuracy_score(y, p, k=k, labels=labels))
    for bins in [10, 15]:
        line(f"ece{bins}", float(ece(y, p, bins)))
    line("auc1", float(m.roc_auc_score(y == 1, p[:, 1])))
    if len(set(y.tolist())) == classes:
        each = [m.roc_auc_score(y == c, p[:, c]) for c in labels]
        line("auc_ovr", float(np.mean(each)))

for n in [3, 50]:
    t = rng.normal(size=n).astype(np.float32)
    q = (t + 0.5 * rng.normal(size=n)).astype(np.float32)
    line("regression", n)
    out.write(" ".join(f"{v:.9g}" for v in t) + "\n" + " ".join(f"{v:.9g}" for v in q) + "\n")
    t, q = t.astype(np.float64), q.astype(np.float64)
    line("mse", float(m.mean_squared_error(t, q)))
    line("mae", float(m.mean_absolute_error(t, q)))
    line("r2", float(m.r2_score(t, q)))
