#!/usr/bin/env python3
"""Writes trajectories.txt: optimisers of PyTorch (and published formulas) on a small problem.

Lines: "optimizer NAME STEP p0..p5" and "schedule NAME STEP RATE". Needs torch 2 and numpy.
"""
import pathlib

import numpy as np
import torch

X = [[0.5, -1.2], [1.5, 0.3], [-0.7, 0.8], [0.2, 2.0], [-1.1, -0.4]]
Y = [[0.3, -0.6], [0.9, 0.1], [-0.2, 0.5], [0.7, -0.8], [-0.5, 0.2]]
START = [0.6, -0.4, 0.3, 0.8, 0.1, -0.2]  # W [2, 2], b [2]
STEPS = 100
torch.set_default_dtype(torch.float64)  # NAdam keeps a product of its own in this type
SHOWN = {1, 2, 3, 10, 20, 30, 60, 100}
lines = []


def loss(w, b):
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)
    return ((torch.tanh(x @ w.T + b) - y) ** 2).mean() + 0.05 * (w**4).sum()


def start():
    t = torch.tensor(START, dtype=torch.float64)
    return [t[:4].reshape(2, 2).clone().requires_grad_(), t[4:].clone().requires_grad_()]


def show(name, step, p):
    if step in SHOWN:
        flat = np.concatenate([np.asarray(q.detach() if torch.is_tensor(q) else q).ravel() for q in p])
        lines.append(f"optimizer {name} {step} " + " ".join(f"{v:.17g}" for v in flat))


def of_torch(name, kind, sparse=False, **options):
    p = start()
    optimizer = kind(p, **options)
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss(*p).backward()
        for q in p if sparse else []:
            q.grad = q.grad.to_sparse()
        optimizer.step()
        show(name, step, p)


def of_formula(name, update):
    """update(p, g, memory, t): new value of one parameter; memory is a dict of its own."""
    p = start()
    memory = [{}, {}]
    for step in range(1, STEPS + 1):
        g = torch.autograd.grad(loss(*p), p)
        new = [update(q.detach().numpy(), h.numpy(), m, step) for q, h, m in zip(p, g, memory)]
        p = [torch.tensor(q).requires_grad_() for q in new]
        show(name, step, p)


o = torch.optim
of_torch("sgd", o.SGD, lr=0.1)
of_torch("sgd_decay", o.SGD, lr=0.1, weight_decay=0.03)
of_torch("momentum", o.SGD, lr=0.05, momentum=0.9)
of_torch("nesterov", o.SGD, lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.02)
of_torch("adagrad", o.Adagrad, lr=0.1)
of_torch("adagrad_all", o.Adagrad, lr=0.1, lr_decay=0.01, weight_decay=0.02,
         initial_accumulator_value=0.1)
of_torch("adadelta", o.Adadelta)
of_torch("adadelta_all", o.Adadelta, lr=0.5, rho=0.8, eps=1e-5, weight_decay=0.02)
of_torch("rmsprop", o.RMSprop, lr=0.01)
of_torch("rmsprop_all", o.RMSprop, lr=0.01, alpha=0.9, weight_decay=0.02, momentum=0.5,
         centered=True)
of_torch("rmsprop_momentum", o.RMSprop, lr=0.01, alpha=0.9, eps=1e-3, momentum=0.9)
of_torch("adam", o.Adam, lr=0.02)
of_torch("adam_decay", o.Adam, lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.03)
of_torch("adamw", o.AdamW, lr=0.02, weight_decay=0.1)
of_torch("sparse_adam", o.SparseAdam, sparse=True, lr=0.02)
of_torch("nadam", o.NAdam, lr=0.004, weight_decay=0.01)
of_torch("radam", o.RAdam, lr=0.02, weight_decay=0.01)
of_torch("adamax", o.Adamax, lr=0.02, weight_decay=0.01)
of_torch("rprop", o.Rprop, lr=0.01)


def lamb(p, g, memory, t, lr=0.02, b1=0.9, b2=0.999, eps=1e-8, decay=0.05):
    m = memory["m"] = b1 * memory.get("m", 0) + (1 - b1) * g
    v = memory["v"] = b2 * memory.get("v", 0) + (1 - b2) * g * g
    r = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps) + decay * p
    return p - lr * np.linalg.norm(p) / np.linalg.norm(r) * r


def lars(p, g, memory, t, lr=2.0, momentum=0.9, decay=0.02, trust=1e-2):
    rate = trust * np.linalg.norm(p) / (np.linalg.norm(g) + decay * np.linalg.norm(p))
    v = memory["v"] = momentum * memory.get("v", 0) + lr * rate * (g + decay * p)
    return p - v


def lion(p, g, memory, t, lr=0.01, b1=0.9, b2=0.99, decay=0.1):
    m = memory.get("m", 0)
    memory["m"] = b2 * m + (1 - b2) * g
    return p - lr * (np.sign(b1 * m + (1 - b1) * g) + decay * p)


of_formula("lamb", lamb)
of_formula("lars", lars)
of_formula("lion", lion)


def lbfgs(history=10, steps=20):
    """L-BFGS with its matrix written out (Nocedal and Wright 2006, equation 7.16). Here the unit
    step meets the strong Wolfe conditions each time, so that no line search is needed."""

    def at(x):
        t = torch.tensor(x, requires_grad=True)
        value = loss(t[:4].reshape(2, 2), t[4:])
        return value.item(), torch.autograd.grad(value, t)[0].numpy()

    x, pairs = np.array(START), []
    f, g = at(x)
    for step in range(1, steps + 1):
        gamma = (pairs[-1][0] @ pairs[-1][1]) / (pairs[-1][1] @ pairs[-1][1]) if pairs else 1.0
        h = gamma * np.eye(len(x))
        for s, y in pairs:
            v = np.eye(len(x)) - np.outer(y, s) / (s @ y)
            h = v.T @ h @ v + np.outer(s, s) / (s @ y)
        if abs(g).max() > 1e-7:
            d = -h @ g
            f1, g1 = at(x + d)
            assert f1 <= f + 1e-4 * (g @ d) and abs(g1 @ d) <= 0.9 * abs(g @ d), step
            pairs = (pairs + [(d, g1 - g)])[-history:]
            x, f, g = x + d, f1, g1
        lines.append(f"lbfgs all {step} " + " ".join(f"{v:.17g}" for v in x))


lbfgs()


def long_lbfgs(n=30):
    """Above L-BFGS has converged after a dozen steps, here each of a hundred moves: thirty
    parameters of a condition number of 1,000, and steps of 0.3, each of which the line search
    accepts at once. A start that is 1e-15 off stays within 4e-13; unit steps lose that within fifty
    steps. The gradient's 1-norm is below 1, so that the first step of PyTorch is the rate, too."""
    x = torch.full((n,), 0.1, requires_grad=True)
    d = 10 ** (-3 * torch.arange(n) / (n - 1))
    optimizer = o.LBFGS([x], lr=0.3, max_iter=1, max_eval=100, history_size=10, tolerance_grad=0,
                        tolerance_change=0, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = (d * (x**2 / 2 + x**4)).sum()
        value.backward()
        return value

    for step in range(1, STEPS + 1):
        optimizer.step(closure)
        assert optimizer.state[x]["func_evals"] == 2 * step
        if step in SHOWN:
            lines.append(f"lbfgs long {step} " + " ".join(f"{v:.17g}" for v in x.tolist()))


long_lbfgs()


def schedule(name, make, lr=0.5, steps=60, metrics=None):
    optimizer = o.SGD([torch.zeros(1)], lr=lr)
    s = make(optimizer)
    for step in range(steps):
        lines.append(f"schedule {name} {step} {optimizer.param_groups[0]['lr']:.17g}")
        optimizer.step()
        s.step(metrics[step]) if metrics else s.step()


l = o.lr_scheduler
METRICS = [1.0, 0.9, 0.95, 0.91, 0.92, 0.89999, 0.8, 0.85, 0.85, 0.85, 0.85, 0.7, 0.71, 0.72, 0.73]
schedule("step", lambda x: l.StepLR(x, 7, 0.3))
schedule("multi_step", lambda x: l.MultiStepLR(x, [5, 20, 21], 0.2))
schedule("exponential", lambda x: l.ExponentialLR(x, 0.93))
schedule("cosine", lambda x: l.CosineAnnealingLR(x, 60, 0.01))
schedule("cosine_restarts", lambda x: l.CosineAnnealingWarmRestarts(x, 8, 2, 0.02))
schedule("one_cycle", lambda x: l.OneCycleLR(x, 0.5, total_steps=61))
schedule("polynomial", lambda x: l.PolynomialLR(x, 40, 2.0))
schedule("plateau", lambda x: l.ReduceLROnPlateau(x, factor=0.5, patience=2, threshold=1e-3,
                                                  min_lr=0.1), steps=15, metrics=METRICS)

pathlib.Path(__file__).with_name("trajectories.txt").write_text("\n".join(lines) + "\n")
