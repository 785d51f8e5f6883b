"""Golden values for tests/five_steps.rs: five DRAEM training steps in PyTorch, in double precision.

Everything is made by formula, so that no weights or images need to be stored:
* `uniform(stream, n)`: the numbers splitmix64 gives for (stream, element), as doubles in [0, 1);
* weights: uniform numbers with the spread of DRAEM's initialisation (conv 0.02, batch norm 1 and 0.02, conv bias 1/sqrt(fan in));
* batches: waves, with a rectangle of noise pasted in as the anomaly.

Two cases, which differ in the batch norm biases only:
* "initial": zero, as DRAEM begins. Half of all ReLUs are near their kink there, and rounding decides on which side: PyTorch in
  single precision is already 1e-2 (losses) from PyTorch in double precision after five steps. Only double precision can be compared.
* "active": about 2, so that few activations lie near a kink and single precision can be compared too.

The networks, SSIM and focal loss come from draem_torch.py beside this file, written independently of the Rust code.
Tensors here are NCHW; the formulas number pixels in NHWC order.

Run:  python five_steps.py > five_steps.json          (stored output: torch 2.15.0, numpy 1.26.4, CPU)
      python five_steps.py --compare-f32              (how far single precision is from the stored values, in PyTorch itself)
"""
import argparse
import json
import math

import numpy as np
import torch
import torch.nn.functional as F

from draem_torch import Discriminative, Reconstructive, focal_loss, ssim_loss

R_WIDTH, S_WIDTH, SIZE, BATCH, STEPS, LR = 8, 4, 64, 4, 5, 1e-4
SAMPLES = 4  # values kept of every tensor, evenly strided
CASES = {"initial": (0.0, 0.0), "active": (2.0, 0.5)}  # centre and spread of the batch norm biases


def uniform(stream, n):
    with np.errstate(over="ignore"):
        z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream) * np.uint64(0xD1342543DE82EF95)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def initialise(net, network, bias_centre, bias_spread):
    """Weights by formula; a tensor's stream number is 1000 * network + its place among the parameters sorted by name."""
    for place, (name, p) in enumerate(sorted(net.named_parameters())):
        u = torch.from_numpy(uniform(1000 * network + place, p.numel())).reshape(p.shape)
        spread = 2 * u - 1  # [-1, 1)
        if p.dim() == 4:
            value = 0.02 * math.sqrt(3) * spread
        elif name[: -len(".bias")] + ".running_mean" in net.state_dict() and name.endswith("bias"):
            value = bias_centre + bias_spread * spread
        elif name[: -len(".weight")] + ".running_mean" in net.state_dict() and name.endswith("weight"):
            value = 1 + 0.02 * math.sqrt(3) * spread
        else:
            weight = net.state_dict()[name[: -len("bias")] + "weight"]
            value = spread / math.sqrt(9 * weight.shape[1])
        with torch.no_grad():
            p.copy_(value)


def batch(step):
    """(normal, image with an anomaly, mask), NCHW."""
    n, y, x, c = np.meshgrid(np.arange(BATCH), np.arange(SIZE), np.arange(SIZE), np.arange(3), indexing="ij")
    normal = 0.5 + 0.3 * np.sin(0.21 * x + 0.13 * y + 1.7 * c + 0.9 * n + 2.3 * step) * np.cos(0.08 * y - 0.05 * x * (1 + c))
    noise = uniform(5000 + step, normal.size).reshape(normal.shape)
    left, top = 5 + 9 * n + 3 * step, 8 + 6 * n + 4 * step
    mask = (x >= left) & (x < left + 18) & (y >= top) & (y < top + 12) & (n < BATCH - 1)  # the last image is clean
    image = np.where(mask, 0.2 * normal + 0.8 * noise, normal)
    to = lambda a: torch.from_numpy(np.ascontiguousarray(a.transpose(0, 3, 1, 2)))
    return to(normal), to(image), torch.from_numpy(mask[..., 0].astype(np.int64))


def train(case, dtype):
    r, s = Reconstructive(R_WIDTH).double(), Discriminative(S_WIDTH).double()
    initialise(r, 0, *CASES[case]), initialise(s, 1, *CASES[case])
    r, s = r.to(dtype).train(), s.to(dtype).train()
    initial = {k: {n: p.detach().clone() for n, p in net.named_parameters()} for k, net in (("r", r), ("s", s))}
    adam = torch.optim.Adam([{"params": r.parameters()}, {"params": s.parameters()}], lr=LR)
    losses = []
    for step in range(STEPS):
        normal, image, mask = batch(step)
        normal, image = normal.to(dtype), image.to(dtype)
        reconstruction = r(image)
        probabilities = torch.softmax(s(torch.cat([reconstruction, image], 1)), 1)
        parts = [F.mse_loss(reconstruction, normal), ssim_loss(reconstruction, normal), focal_loss(probabilities, mask)]
        adam.zero_grad()
        sum(parts).backward()
        adam.step()
        losses.append([p.item() for p in parts])
    with torch.no_grad():
        r.eval(), s.eval()
        _, image, _ = batch(STEPS)
        image = image.to(dtype)
        reconstruction = r(image)
        map_ = torch.softmax(s(torch.cat([reconstruction, image], 1)), 1)[:, 1]
    return r, s, initial, losses, reconstruction.permute(0, 2, 3, 1), map_


def sample(t):
    flat = t.detach().double().flatten()
    count = min(SAMPLES, flat.numel())
    return flat[[k * flat.numel() // count for k in range(count)]].tolist()


def summary(case, dtype):
    r, s, initial, losses, reconstruction, map_ = train(case, dtype)
    short = lambda v: float(f"{v:.10g}")
    row = lambda norm, t: [short(norm)] + [short(v) for v in sample(t)]
    tensors = {}
    for key, net in (("r", r), ("s", s)):
        normalised = {n.removesuffix("running_mean") + "bias" for n in net.state_dict() if n.endswith("running_mean")}
        for name, t in net.state_dict().items():
            if name.endswith("num_batches_tracked"):
                assert int(t) == STEPS
                continue
            if name.endswith("bias") and name not in normalised and "fin_out" not in name:
                continue  # a conv's bias before a batch norm has no influence and hence no gradient: nothing but rounding to compare
            # first number: norm of the change for what is trained, of the values for running statistics
            change = t.detach() - initial[key][name] if name in initial[key] else t
            tensors[f"{key}.{name}"] = row(change.double().norm().item(), t)
    return {
        "losses": [[short(v) for v in l] for l in losses],
        "evaluated": {"reconstruction": row(reconstruction.double().norm().item(), reconstruction), "map": row(map_.double().norm().item(), map_)},
        "tensors": tensors,
    }


def compare(stored, other):
    print("losses, largest relative difference:", max(abs(a - b) / abs(b) for x, y in zip(other["losses"], stored["losses"]) for a, b in zip(x, y)))
    worst = []
    for name, row in stored["tensors"].items():
        a, b = np.array(other["tensors"][name]), np.array(row)
        scale = np.linalg.norm(b[1:])
        worst.append((np.linalg.norm(a[1:] - b[1:]) / scale if scale else 0.0, abs(a[0] - b[0]) / b[0] if b[0] else 0.0, name))
    print("samples, worst relative differences:", *sorted(worst, reverse=True)[:15], sep="\n  ")


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--compare-f32", action="store_true")
    if parser.parse_args().compare_f32:
        for case in CASES:
            print(case)
            compare(summary(case, torch.float64), summary(case, torch.float32))
    else:
        settings = {"r_width": R_WIDTH, "s_width": S_WIDTH, "size": SIZE, "batch": BATCH, "lr": LR, "cases": CASES}
        text = json.dumps({"settings": settings, **{case: summary(case, torch.float64) for case in CASES}})
        print(text.replace('"r.', '\n"r.').replace('"s.', '\n"s.'))
