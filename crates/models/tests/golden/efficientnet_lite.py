"""Golden values for tests/efficientnet_lite.rs: features of EfficientNet-Lite in PyTorch.

The network is written here from its description, independently of the Rust code. Weights are made by formula (`uniform`, as in
residual_networks.py): the tensors up to stage 5 are numbered in the order of the published state dicts, without
`num_batches_tracked` (not counted); tensor i is drawn from stream i:

* convolutions: uniform in +-sqrt(6 / fan in);
* batch norms: scale 1 +- 0.2, shift +- 0.2, running mean +- 0.2, running variance 1 +- 0.5;
* images: bytes floor(256 u), u from stream 1000, numbered in NHWC order.

The last scale of each block with a shortcut is divided by 4. Of the last output at strides 4, 8 and 16 SAMPLES values are kept, evenly
strided in NHWC order, with mean and root mean square of all.

Run:  python efficientnet_lite.py > efficientnet_lite.json   (torch 2.15)

      python efficientnet_lite.py FILE.pth FILE.json   the same with trained weights, which are not committed: put both files, of one name,
      into a folder and name it in FLAWFORGE_EFFICIENTNET; the name of the file contains that of the network.
"""
import json
import math
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SAMPLES = 16
SIZES = [(64, 64), (57, 71)]
STAGES = [(16, 1, 3, 1), (24, 2, 3, 2), (40, 2, 5, 2), (80, 3, 3, 2), (112, 3, 5, 1)]
SCALES = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite1": (1.0, 1.1), "efficientnet-lite2": (1.1, 1.2)}


def uniform(stream, n):
    with np.errstate(over="ignore"):
        z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream) * np.uint64(0xD1342543DE82EF95)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Same(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME."""

    def forward(self, x):
        pads = []
        for n, k, s in zip(reversed(x.shape[2:]), reversed(self.kernel_size), reversed(self.stride)):
            total = max((math.ceil(n / s) - 1) * s + k - n, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, None, self.stride, 0, 1, self.groups)


def norm(c):
    return nn.BatchNorm2d(c, eps=1e-3)


class Block(nn.Module):
    def __init__(self, inputs, outputs, side, stride, ratio):
        super().__init__()
        inner = ratio * inputs
        if ratio != 1:
            self._expand_conv = Same(inputs, inner, 1, bias=False)
            self._bn0 = norm(inner)
        self._depthwise_conv = Same(inner, inner, side, stride, groups=inner, bias=False)
        self._bn1 = norm(inner)
        self._project_conv = Same(inner, outputs, 1, bias=False)
        self._bn2 = norm(outputs)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x):
        y = x
        if hasattr(self, "_expand_conv"):
            y = F.relu6(self._bn0(self._expand_conv(y)))
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.shortcut else y


class Lite(nn.Module):
    def __init__(self, name):
        super().__init__()
        width, depth = SCALES[name]
        self._conv_stem = Same(3, 32, 3, 2, bias=False)
        self._bn0 = norm(32)
        blocks, inputs, self.ends = [], 32, {}
        for index, (channels, repeats, side, stride) in enumerate(STAGES):
            channels *= width
            outputs = max(8, int(channels + 4) // 8 * 8)
            outputs += 8 if outputs < 0.9 * channels else 0
            for repeat in range(repeats if index == 0 else math.ceil(repeats * depth)):
                blocks.append(Block(inputs, outputs, side, stride if repeat == 0 else 1, 1 if index == 0 else 6))
                inputs = outputs
            if index in (1, 2, 4):
                self.ends[len(blocks) - 1] = {1: 4, 2: 8, 4: 16}[index]
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x):
        x = F.relu6(self._bn0(self._conv_stem(x)))
        outputs = {}
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self.ends:
                outputs[self.ends[index]] = x
        return outputs


def fill(network):
    state = {}
    names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    branches = {f"_blocks.{i}._bn2.weight" for i, block in enumerate(network._blocks) if block.shortcut}
    for stream, name in enumerate(names):
        tensor = network.state_dict()[name]
        v = 2.0 * uniform(stream, tensor.numel()) - 1.0
        if tensor.dim() == 4:
            v = v * np.sqrt(6.0 / (tensor.shape[1] * tensor.shape[2] * tensor.shape[3]))
        elif name.endswith("running_var"):
            v = 1.0 + 0.5 * v
        elif name.endswith("weight"):
            v = (1.0 + 0.2 * v) * (0.25 if name in branches else 1.0)
        else:
            v = 0.2 * v
        state[name] = torch.from_numpy(v.reshape(tensor.shape))
    network.load_state_dict(state, strict=False)


def image(h, w):
    values = np.floor(256.0 * uniform(1000, h * w * 3)).reshape(1, h, w, 3)
    return (torch.from_numpy(values).permute(0, 3, 1, 2) - 127.0) / 128.0


def summary(t):
    t = t.detach().permute(0, 2, 3, 1).reshape(-1)
    step = t.numel() // SAMPLES
    return dict(
        count=t.numel(),
        mean=t.mean().item(),
        rms=t.square().mean().sqrt().item(),
        samples=t[::step][:SAMPLES].tolist(),
    )


def features(network):
    network.double().eval()
    with torch.no_grad():
        return [
            dict(height=h, width=w, strides={str(s): summary(t) for s, t in network(image(h, w)).items()})
            for h, w in SIZES
        ]


def main():
    out = {"torch": torch.__version__, "networks": {}}
    for name in SCALES:
        network = Lite(name)
        if len(sys.argv) > 1:
            if name not in sys.argv[1]:
                continue
            state = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
            wanted = network.state_dict().keys()
            network.load_state_dict({key: state[key] for key in wanted})
        else:
            fill(network)
        out["networks"][name] = features(network)
    with open(sys.argv[2], "w") if len(sys.argv) > 2 else sys.stdout as file:
        json.dump(out, file, indent=1)


if __name__ == "__main__":
    main()
