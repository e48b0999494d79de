import torch


def make(peer):
    given, runs = peer.array("input"), [0]

    def work(x):
        h = x
        for _ in range(100):
            a, b = torch.tanh(h * 0.9), torch.sigmoid(h + x)
            c = torch.maximum(a, b * 0.5)
            h = c * c + torch.sin(h) * 0.1
        return h

    work = peer.compiled(work)

    def run():
        x = given.clone()
        x[0] = 0.5 + 0.1 * (runs[0] % 3)
        runs[0] += 1
        with torch.inference_mode():
            return work(x)

    return run
