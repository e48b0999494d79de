import torch


def make(peer):
    count, size = 160, 25_000_000 // 160
    parameters = [torch.full((size,), 0.5, dtype=peer.dtype, requires_grad=True)
                  for _ in range(count)]
    for i, p in enumerate(parameters):
        p.grad = torch.full((size,), 1e-3 * (i - 80), dtype=peer.dtype)
    optimizer = peer.optimizer(torch.optim.AdamW, parameters, weight_decay=0.01)
    step = peer.compiled(optimizer.step)

    def run():
        step()
        return torch.stack([p.detach()[0] for p in parameters])

    return run
