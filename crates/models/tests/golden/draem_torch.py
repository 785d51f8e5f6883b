"""DRAEM's two networks and its losses in PyTorch, written from their definitions and independently of the Rust code.

The yardstick for values (five_steps.py) and for speed (`cargo xtask compare torch`). Modules have DRAEM's names, so that
weights written by the Rust code load as they are. Tensors are NCHW.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


def conv_bn_relu(i, o):
    return [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU()]


def pair(i, m, o):
    return nn.Sequential(*conv_bn_relu(i, m), *conv_bn_relu(m, o))


def up(i, o):
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), *conv_bn_relu(i, o))


class Encoder(nn.Module):
    def __init__(self, channels, w, blocks):
        super().__init__()
        self.n, c = blocks, channels
        for k in range(blocks):
            o = w * min(2**k, 8)
            setattr(self, f"block{k + 1}", pair(c, o, o))
            c = o

    def forward(self, x):
        out = []
        for k in range(self.n):
            x = getattr(self, f"block{k + 1}")(F.max_pool2d(x, 2) if k else x)
            out.append(x)
        return out


class ReconstructiveDecoder(nn.Module):
    def __init__(self, w):
        super().__init__()
        for k, (i, o) in enumerate([(8 * w, 4 * w), (4 * w, 2 * w), (2 * w, w), (w, w)], 1):
            setattr(self, f"up{k}", up(i, i))
            setattr(self, f"db{k}", pair(i, i, o))
        self.fin_out = nn.Sequential(nn.Conv2d(w, 3, 3, padding=1))

    def forward(self, x):
        for k in range(1, 5):
            x = getattr(self, f"db{k}")(getattr(self, f"up{k}")(x))
        return self.fin_out(x)


class Reconstructive(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.encoder, self.decoder = Encoder(3, w, 5), ReconstructiveDecoder(w)

    def forward(self, x):
        return self.decoder(self.encoder(x)[-1])


class DiscriminativeDecoder(nn.Module):
    NAMES = ["_b", "1", "2", "3", "4"]

    def __init__(self, w):
        super().__init__()
        # (channels from below, after up, of the skip, out)
        rows = [(8, 8, 8, 8), (8, 4, 8, 4), (4, 2, 4, 2), (2, 1, 2, 1), (1, 1, 1, 1)]
        for name, (i, u, s, o) in zip(self.NAMES, rows):
            setattr(self, "up" + name, up(i * w, u * w))
            setattr(self, "db" + name, pair((u + s) * w, o * w, o * w))
        self.fin_out = nn.Sequential(nn.Conv2d(w, 2, 3, padding=1))

    def forward(self, skips):
        x = skips.pop()
        for name in self.NAMES:
            x = torch.cat([getattr(self, "up" + name)(x), skips.pop()], 1)
            x = getattr(self, "db" + name)(x)
        return self.fin_out(x)


class Discriminative(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.encoder_segment, self.decoder_segment = Encoder(6, w, 6), DiscriminativeDecoder(w)

    def forward(self, x):
        return self.decoder_segment(self.encoder_segment(x))


def ssim_loss(a, b):
    """1 - mean SSIM: 11x11 Gaussian window of sigma 1.5, zero padding, dynamic range 1."""
    g = torch.exp(-((torch.arange(11, dtype=a.dtype, device=a.device) - 5) ** 2) / (2 * 1.5**2))
    g = g / g.sum()
    window = torch.outer(g, g).expand(3, 1, 11, 11)
    blur = lambda t: F.conv2d(t, window, padding=5, groups=3)
    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return 1 - ((2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))).mean()


def focal_loss(probabilities, mask):
    smooth = 1e-5
    one_hot = F.one_hot(mask, 2).permute(0, 3, 1, 2).to(probabilities.dtype).clamp(smooth, 1 - smooth)
    pt = (one_hot * probabilities).sum(1) + smooth
    return (-((1 - pt) ** 2) * pt.log()).mean()
