"""PyTorch's side of `cargo xtask compare torch`: a training step or inference of DRAEM's networks.

    python torch_worker.py WORK VARIANT WEIGHTS INPUTS THREADS DEVICE [ONNX FILE]

WORK is `step`, `inference` or `export` (inference, written as an ONNX file). Weights and inputs come from the other side, as
safetensors; names of weights begin with `r.` and `s.`.
"""
import shutil
import sys

import numpy as np

from serve import serve, skip

WINDOW = 21  # of the image score: the largest mean of the map (DRAEM's code)


def read(path):
    from safetensors.numpy import load_file

    return load_file(path)


def below(prefix, tensors):
    import torch

    return {n.removeprefix(prefix): torch.from_numpy(t) for n, t in tensors.items() if n.startswith(prefix)}


def networks(weights):
    from draem_torch import Discriminative, Reconstructive

    r, s = below("r.", weights), below("s.", weights)
    nets = []
    for kind, state, first in [
        (Reconstructive, r, "encoder.block1.0.weight"),
        (Discriminative, s, "encoder_segment.block1.0.weight"),
    ]:
        net = kind(state[first].shape[0])
        net.load_state_dict(state)
        nets.append(net)
    return nets


def score(maps, kernel=WINDOW):
    import torch.nn.functional as F

    return F.avg_pool2d(maps[:, None], kernel, stride=1, padding=kernel // 2).amax((1, 2, 3))


def summary(scores, maps):
    """What both sides must agree on: log-odds of the image scores, and of every 97th number of the maps.

    Networks that have learnt nothing say about 1/2 everywhere, and the little that they differ by would drown in it.
    """
    p = np.concatenate([np.ravel(scores), np.ravel(maps)[::97]]).astype(np.float64)
    return np.log(p / (1 - p))


def precision(variant, device):
    """Sets what f32 products may be rounded to, and returns a context for bfloat16."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = "f32" != variant.split("-")[0]
    torch.backends.cudnn.benchmark = True
    return lambda: torch.autocast(device, torch.bfloat16, enabled="bf16" in variant)


def step(variant, weights, inputs, device):
    import torch
    import torch.nn.functional as F

    from draem_torch import focal_loss, ssim_loss

    r, s = networks(weights)
    layout = torch.channels_last if "channels-last" in variant else torch.contiguous_format
    r, s = (net.train().to(device, memory_format=layout) for net in (r, s))
    image, normal = (
        torch.from_numpy(inputs[n]).permute(0, 3, 1, 2).to(device).contiguous(memory_format=layout)
        for n in ("image", "normal")
    )
    mask = torch.from_numpy(inputs["mask"]).long().to(device)
    adam = torch.optim.Adam([*r.parameters(), *s.parameters()], lr=1e-4, fused=True)
    rounded = precision(variant, device)

    def losses():
        with rounded():
            reconstruction = r(image)
            logits = s(torch.cat([reconstruction, image], 1))
        reconstruction, probabilities = reconstruction.float(), torch.softmax(logits.float(), 1)
        return F.mse_loss(reconstruction, normal), ssim_loss(reconstruction, normal), focal_loss(probabilities, mask)

    if "compile" in variant:
        losses = torch.compile(losses)

    def one():
        parts = losses()
        adam.zero_grad()
        sum(parts).backward()
        adam.step()
        return parts

    def iteration():
        for _ in range(int(inputs["steps"][0])):
            parts = one()
        values = [p.item() for p in parts]
        if device == "cuda":
            torch.cuda.synchronize()
        return values

    steps = int(inputs["checked_steps"][0])
    serve(iteration, lambda: [loss.item() for _ in range(steps) for loss in one()])


def chain(variant, weights, device="cpu"):
    """From bytes (N, H, W, 3) to scores and maps."""
    import torch

    class Chain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.r, self.s = networks(weights)

        def forward(self, image):
            reconstruction = self.r(image)
            logits = self.s(torch.cat([reconstruction, image], 1))
            maps = torch.softmax(logits.float(), 1)[:, 1]
            return score(maps), maps

    layout = torch.channels_last if "channels-last" in variant else torch.contiguous_format
    net = Chain().eval().to(device, memory_format=layout)
    to_tensor = lambda b: (b.to(device).permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=layout)
    return net, to_tensor


def inference(variant, weights, inputs, device):
    import torch

    if "compile" in variant and not (shutil.which("c++") or shutil.which("g++")):
        skip("torch.compile needs a C++ compiler, and there is none")
    net, to_tensor = chain(variant, weights, device)
    rounded = precision(variant, device)
    if "compile" in variant:
        net = torch.compile(net)
    image = torch.from_numpy(inputs["bytes"])

    def iteration():
        with torch.inference_mode(), rounded():
            scores, maps = net(to_tensor(image))
            return scores.cpu().numpy(), maps.cpu().numpy()

    serve(iteration, lambda: summary(*iteration()))


def export(variant, weights, inputs, path):
    import torch

    net, to_tensor = chain(variant, weights)
    torch.onnx.export(net, (to_tensor(torch.from_numpy(inputs["bytes"])),), path, input_names=["image"], dynamo=True)
    serve(lambda: None, lambda: [])


def onnx(inputs, threads, path):
    """Inference by onnxruntime, in a process that has no PyTorch in its memory."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    image = inputs["bytes"]

    def iteration():
        values = np.ascontiguousarray(image.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)
        return session.run(None, {"image": values})

    serve(iteration, lambda: summary(*iteration()))


def main(work, variant, weights, inputs, threads, device, path=None):
    inputs, threads = read(inputs), int(threads)
    if variant == "onnxruntime" and work == "inference":
        return onnx(inputs, threads, path)
    import torch

    torch.set_num_threads(threads)
    weights = read(weights)
    if work == "export":
        return export(variant, weights, inputs, path)
    {"step": step, "inference": inference}[work](variant, weights, inputs, device)


main(*sys.argv[1:])
