"""Golden values for tests/residual_networks.rs: features of torchvision's residual networks, and NSA's network in PyTorch.

Everything is made by formula (`uniform`, as in five_steps.py), so that no weights or images are stored: the tensors of a state dict
are numbered in its order, without `num_batches_tracked` (which is skipped and not counted); tensor i is drawn from stream i:

* convolutions: uniform in +-sqrt(6 / fan in) (transposed ones: fan in = channels in * kernel area / 4, the taps that meet a pixel);
* batch norms: scale 1 +- 0.2, shift +- 0.2, running mean +- 0.2, running variance 1 +- 0.5;
* images: stream 1000, uniform in [-2, 2], pixels numbered in NHWC order.

The last scale of each residual branch is divided by 4, so that sums over many blocks stay moderate. Of every output SAMPLES values
are kept, evenly strided in NHWC order, with mean and root mean square of all. NSA's network is written here from its description,
independently of the Rust code; its first part is torchvision's own ResNet.

Run:  python residual_networks.py > residual_networks.json
"""
import json
import sys

import numpy as np
import torch
import torch.nn as nn
import torchvision
from torchvision.models.resnet import BasicBlock

SIZE, SAMPLES = 64, 16


def uniform(stream, n):
    with np.errstate(over="ignore"):
        z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream) * np.uint64(0xD1342543DE82EF95)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def fill(network, last_norms):
    """Gives every tensor of a network its values; `last_norms` are the prefixes of the last norms of residual branches."""
    state = {}
    names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    for stream, name in enumerate(names):
        tensor = network.state_dict()[name]
        v = 2.0 * uniform(stream, tensor.numel()) - 1.0
        if tensor.dim() == 4:
            transposed = name in network.transposed if hasattr(network, "transposed") else False
            area = tensor.shape[2] * tensor.shape[3]
            fan_in = tensor.shape[0] * area / 4 if transposed else tensor.shape[1] * area
            v = v * np.sqrt(6.0 / fan_in)
        elif name.endswith("running_var"):
            v = 1.0 + 0.5 * v
        elif name.endswith("weight"):
            v = (1.0 + 0.2 * v) * (0.25 if name.rsplit(".", 1)[0] in last_norms else 1.0)
        else:
            v = 0.2 * v
        state[name] = torch.from_numpy(v.reshape(tensor.shape))
    missing = network.load_state_dict(state, strict=False)
    assert all(name.endswith("num_batches_tracked") for name in missing.missing_keys) and not missing.unexpected_keys
    return network.double().eval()


def last_norms(network):
    last = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d) and "layer" in name and ".bn" in name:
            last[name.rsplit(".", 1)[0]] = name
    return set(last.values())


def image():
    values = 4.0 * uniform(1000, SIZE * SIZE * 3) - 2.0
    return torch.from_numpy(values.reshape(1, SIZE, SIZE, 3)).permute(0, 3, 1, 2)


def summary(t):
    t = t.detach().permute(0, 2, 3, 1).reshape(-1)
    step = t.numel() // SAMPLES
    return dict(
        count=t.numel(),
        mean=t.mean().item(),
        rms=t.square().mean().sqrt().item(),
        samples=t[::step][:SAMPLES].tolist(),
    )


class UpBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.upsample = nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 1, stride=2, output_padding=1, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.upsample(x))


class Nsa(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torchvision.models.resnet18(weights=None)
        del self.encoder.fc
        self.bottleneck = nn.Sequential(nn.Conv2d(512, 256, 1, bias=False), nn.ReLU(), nn.Conv2d(256, 128, 1, bias=False), nn.ReLU())
        self.decoder = nn.Module()
        for stage, (inputs, outputs) in enumerate([(128, 64), (64, 32), (32, 16)], 1):
            setattr(self.decoder, f"uplayer{stage}", nn.Sequential(UpBlock(inputs, outputs)))
        self.decoder.final = nn.ConvTranspose2d(16, 1, 7, stride=2, padding=3, output_padding=1, bias=False)
        self.transposed = {
            f"{name}.weight" for name, module in self.named_modules() if isinstance(module, nn.ConvTranspose2d)
        }

    def forward(self, x):
        e = self.encoder
        x = e.maxpool(e.relu(e.bn1(e.conv1(x))))
        x = e.layer4(e.layer3(e.layer2(e.layer1(x))))
        x = self.bottleneck(x)
        for stage in (1, 2, 3):
            x = getattr(self.decoder, f"uplayer{stage}")(x)
        x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        return torch.sigmoid(self.decoder.final(x))


def main():
    out = {"torch": torch.__version__, "torchvision": torchvision.__version__, "networks": {}}
    with torch.no_grad():
        for kind in ["resnet18", "resnet50", "wide_resnet50_2"]:
            network = getattr(torchvision.models, kind)(weights=None)
            fill(network, last_norms(network))
            x = network.maxpool(network.relu(network.bn1(network.conv1(image()))))
            stages = []
            for stage in range(1, 5):
                x = getattr(network, f"layer{stage}")(x)
                stages.append(summary(x))
            names = [name for name in network.state_dict() if not name.startswith("fc.")]
            out["networks"][kind] = dict(tensors=len(names), last=names[-2], stages=stages)
        nsa = Nsa()
        out["nsa_parameters"] = sum(p.numel() for p in nsa.parameters())
        fill(nsa, last_norms(nsa))
        out["nsa"] = summary(nsa(image()))
    # One training step: loss, the new running statistics of the stem, gradients of some weights.
    nsa.train()
    target = torch.from_numpy(uniform(1001, SIZE * SIZE * 2).reshape(2, SIZE, SIZE, 1)).permute(0, 3, 1, 2)
    values = 4.0 * uniform(1002, SIZE * SIZE * 3 * 2) - 2.0
    x = torch.from_numpy(values.reshape(2, SIZE, SIZE, 3)).permute(0, 3, 1, 2)
    loss = nn.functional.binary_cross_entropy(nsa(x), target)
    loss.backward()
    named = dict(nsa.named_parameters())
    out["nsa_step"] = dict(
        loss=loss.item(),
        running_mean=nsa.encoder.bn1.running_mean[:8].tolist(),
        gradients={
            name: dict(norm=named[name].grad.norm().item(), first=named[name].grad.flatten()[:4].tolist())
            for name in [
                "encoder.conv1.weight",
                "encoder.layer2.0.downsample.0.weight",
                "encoder.layer4.1.conv2.weight",
                "bottleneck.2.weight",
                "decoder.uplayer1.0.conv1.weight",
                "decoder.uplayer2.0.upsample.0.weight",
                "decoder.uplayer3.0.bn2.bias",
                "decoder.final.weight",
            ]
        },
    )
    json.dump(out, sys.stdout, indent=1)


main()
