"""Golden values of PatchCore's steps: python3 patchcore.py > patchcore.json (torch, torchvision, scipy, numpy).

Everything is made by rule, so that nothing but the results has to be kept: numbers are multiplicative hashes of their
position. The steps are written anew after their description (docs/method.md, section 15), in the official order: unfold, interpolate each
channel and place of the patch, pool each layer, stack, pool again.
"""

import json

import numpy
import scipy.ndimage
import torch
import torchvision
from torch.nn import functional


def rule(count, seed):
    """Numbers in [-1, 1) by position."""
    index = numpy.arange(count, dtype=numpy.uint64)
    mixed = (index * 2654435761 + seed * 40503 + 12345) % 4294967296
    mixed = (mixed ^ (mixed >> 15)) * 2246822519 % 4294967296
    return ((mixed >> 8).astype(numpy.float64) / 8388608.0 - 1.0).astype(numpy.float32)


def patches(layers, size):
    """Vectors (places, size) of NCHW maps of one image, finest first."""
    unfolded = []
    for layer in layers:
        _, channels, height, width = layer.shape
        windows = functional.unfold(layer, 3, padding=1, stride=1)
        unfolded.append(windows.reshape(channels, 3, 3, height, width))
    height, width = unfolded[0].shape[-2:]
    vectors = []
    for windows in unfolded:
        channels, _, _, h, w = windows.shape
        if (h, w) != (height, width):
            planes = windows.reshape(channels * 9, 1, h, w)
            planes = functional.interpolate(planes, (height, width), mode="bilinear", align_corners=False)
            windows = planes.reshape(channels, 3, 3, height, width)
        flat = windows.permute(3, 4, 0, 1, 2).reshape(height * width, 1, channels * 9)
        vectors.append(functional.adaptive_avg_pool1d(flat, size))
    stacked = torch.cat(vectors, dim=1).reshape(height * width, 1, 2 * size)
    return functional.adaptive_avg_pool1d(stacked, size)[:, 0]


def sample(values):
    """Every so many-th number, and the mean size of all."""
    flat = values.detach().reshape(-1).double()
    step = max(1, len(flat) // 97) | 1
    return {"step": step, "values": [float(v) for v in flat[::step]], "mean": float(flat.abs().mean())}


def embedding(fine, coarse, size, seed):
    """fine and coarse: (height, width, channels)."""
    maps = []
    for place, shape in enumerate((fine, coarse)):
        values = rule(int(numpy.prod(shape)), seed + place).reshape(shape)
        maps.append(torch.from_numpy(values).permute(2, 0, 1)[None])
    return {"fine": fine, "coarse": coarse, "size": size, "seed": seed, **sample(patches(maps, size))}


def with_rule(network):
    """Weights by rule: convolutions of Kaiming's size, norms near the identity."""
    with torch.no_grad():
        for number, (name, value) in enumerate(network.state_dict().items()):
            if name.endswith("num_batches_tracked"):
                continue
            numbers = torch.from_numpy(rule(value.numel(), number)).reshape(value.shape)
            if value.dim() == 4:
                numbers = numbers * (6.0 / (value.shape[1] * value.shape[2] * value.shape[3])) ** 0.5
            elif name.endswith("running_var"):
                numbers = 1.5 + 0.5 * numbers
            elif name.endswith("weight") and value.dim() == 1:
                numbers = 0.8 + 0.2 * numbers
            else:
                numbers = 0.1 * numbers
            value.copy_(numbers)
    return network.eval()


def whole(name, side):
    network = with_rule(getattr(torchvision.models, name)(weights=None))
    pixels = ((rule(side * side * 3, 99) + 1.0) * 127.0).astype(numpy.uint8)
    image = torch.from_numpy(pixels.astype(numpy.float32) / 255.0).reshape(1, side, side, 3)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((image - mean) / deviation).permute(0, 3, 1, 2)
    with torch.no_grad():
        x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
        fine = network.layer2(network.layer1(x))
        coarse = network.layer3(fine)
        vectors = patches([fine, coarse], 1024)
    return {"network": name, "side": side, **sample(vectors)}


def smoothing(width, height, sigma, seed):
    values = rule(width * height, seed).reshape(height, width)
    blurred = scipy.ndimage.gaussian_filter(values.astype(numpy.float64), sigma=sigma)
    return {"width": width, "height": height, "sigma": sigma, "seed": seed, **sample(torch.from_numpy(blurred))}


def resizing(width, height, to_width, to_height, seed):
    values = torch.from_numpy(rule(width * height, seed).reshape(1, 1, height, width))
    resized = functional.interpolate(values, (to_height, to_width), mode="bilinear", align_corners=False)
    return {"width": width, "height": height, "to": [to_width, to_height], "seed": seed, **sample(resized)}


def main():
    result = {
        "embedding": [
            embedding((4, 5, 512), (2, 3, 1024), 1024, 1),
            embedding((6, 6, 128), (3, 3, 256), 1024, 3),
            embedding((5, 4, 7), (3, 2, 9), 20, 5),
        ],
        "network": [whole("resnet18", 64), whole("wide_resnet50_2", 64)],
        "smoothing": [smoothing(37, 29, 4.0, 7), smoothing(9, 5, 4.0, 8), smoothing(20, 11, 1.3, 9)],
        "resizing": [resizing(28, 28, 224, 224, 10), resizing(7, 5, 33, 20, 11), resizing(20, 24, 12, 9, 12)],
    }
    print(json.dumps(result))


main()
