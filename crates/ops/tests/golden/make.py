"""Golden values and gradients of the operators, made by PyTorch.

    python make.py            # writes golden.safetensors beside itself

Made with torch 2.15.0 (CPU, float32), numpy 1.26, safetensors 0.8.0. Images are stored in NHWC order, weights in
PyTorch's OIHW order. Every gradient is that of sum(output * upstream), with the upstream stored, or of the scalar
loss itself. The SSIM and the focal loss are written here from their definitions (method: 2-D Gaussian window 11x11,
sigma 1.5, zero padding 5, E[x^2]-E[x]^2; one-hot clamped to [1e-5, 1-1e-5], pt = sum(onehot*p)+1e-5).
"""

import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(20)
torch.set_num_threads(1)
out = {}


def nhwc(t):
    return t.detach().permute(0, 2, 3, 1).contiguous()


def put(name, t):
    out[name] = t.detach().contiguous().clone()


def leaf(*shape, scale=1.0):
    return (torch.randn(*shape) * scale).requires_grad_()


# Convolution: an even and an odd size, few and more channels, batch 2.
for tag, n, ci, co, h, w in [("small", 2, 3, 5, 6, 7), ("wide", 1, 8, 17, 5, 6)]:
    x, weight, bias = leaf(n, ci, h, w), leaf(co, ci, 3, 3, scale=0.3), leaf(co)
    y = F.conv2d(x, weight, bias, padding=1)
    up = torch.randn_like(y)
    (y * up).sum().backward()
    for key, value in dict(x=nhwc(x), y=nhwc(y), up=nhwc(up), dx=nhwc(x.grad)).items():
        put(f"conv.{tag}.{key}", value)
    for key, value in dict(weight=weight, bias=bias, dweight=weight.grad, dbias=bias.grad).items():
        put(f"conv.{tag}.{key}", value)

# Batch norm with and without ReLU: two training batches (running statistics), then evaluation.
for relu in (False, True):
    c = 6
    bn = torch.nn.BatchNorm2d(c)
    with torch.no_grad():
        bn.weight.copy_(torch.randn(c) * 0.5 + 1)
        bn.bias.copy_(torch.randn(c) * 0.5)
    tag = "bn_relu" if relu else "bn"
    put(f"{tag}.weight", bn.weight)
    put(f"{tag}.bias", bn.bias)
    for step in ("train0", "train1", "eval"):
        bn.train(step != "eval")
        bn.zero_grad()
        # A mean that is large beside the deviation.
        x = (torch.randn(2, c, 4, 5) * 0.7 + torch.arange(c).view(1, c, 1, 1)).requires_grad_()
        y = bn(x)
        y = F.relu(y) if relu else y
        up = torch.randn_like(y)
        (y * up).sum().backward()
        for key, value in dict(x=nhwc(x), y=nhwc(y), up=nhwc(up), dx=nhwc(x.grad)).items():
            put(f"{tag}.{step}.{key}", value)
        put(f"{tag}.{step}.dweight", bn.weight.grad)
        put(f"{tag}.{step}.dbias", bn.bias.grad)
        put(f"{tag}.{step}.mean", bn.running_mean)
        put(f"{tag}.{step}.var", bn.running_var)


def unary(name, x, f):
    """f maps NCHW to NCHW."""
    x = x.requires_grad_()
    y = f(x)
    up = torch.randn_like(y)
    (y * up).sum().backward()
    for key, value in dict(x=nhwc(x), y=nhwc(y), up=nhwc(up), dx=nhwc(x.grad)).items():
        put(f"{name}.{key}", value)


# Small integers: zeros for ReLU, ties in most windows for the pool.
unary("relu", torch.randint(-2, 3, (2, 3, 4, 4)).float(), F.relu)
unary("pool", torch.randint(0, 3, (2, 17, 4, 4)).float(), lambda x: F.max_pool2d(x, 2))
unary(
    "upsample",
    torch.randn(2, 5, 4, 3),
    lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
)
unary("softmax", torch.randn(2, 2, 3, 4) * 4, lambda x: torch.softmax(x, dim=1))

a, b = leaf(2, 3, 2, 3), leaf(2, 4, 2, 3)
y = torch.cat([a, b], dim=1)
up = torch.randn_like(y)
(y * up).sum().backward()
for key, value in dict(a=a, b=b, y=y, up=up, da=a.grad, db=b.grad).items():
    put(f"concat.{key}", nhwc(value))

x, t = leaf(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
loss = F.mse_loss(x, t)
loss.backward()
put("mse.x", nhwc(x)), put("mse.target", nhwc(t)), put("mse.loss", loss), put("mse.dx", nhwc(x.grad))


def ssim_map(x, y, upper, lower):
    c = x.shape[1]
    i = torch.arange(11, dtype=torch.float64) - 5
    g = torch.exp(-(i**2) / (2 * 1.5**2))
    g = (g / g.sum()).to(x.dtype)
    window = torch.outer(g, g).expand(c, 1, 11, 11).contiguous()
    blur = lambda t: F.conv2d(t, window, padding=5, groups=c)
    m1, m2 = blur(x), blur(y)
    v1, v2, v12 = blur(x * x) - m1**2, blur(y * y) - m2**2, blur(x * y) - m1 * m2
    c1, c2 = (0.01 * (upper - lower)) ** 2, (0.03 * (upper - lower)) ** 2
    return ((2 * m1 * m2 + c1) * (2 * v12 + c2)) / ((m1**2 + m2**2 + c1) * (v1 + v2 + c2))


# Unit range; DRAEM's rule with a prediction below -0.5 (range 2) and above 128 (range 255). Gradients in f64,
# rounded: the definition loses digits in f32.
for tag, scale, shift, upper, lower in [
    ("unit", 0.2, 0.5, 1, 0),
    ("signed", 0.5, 0.0, 1, -1),
    ("bytes", 20.0, 128.0, 255, 0),
]:
    t = (torch.randn(1, 2, 13, 7) * scale + shift).float()
    x = (t + torch.randn_like(t) * 0.3 * scale).float().double().requires_grad_()
    assert (x.max() > 128) == (upper == 255) and (x.min() < -0.5) == (lower == -1)
    t = t.double().requires_grad_()
    loss = 1 - ssim_map(x, t, upper, lower).mean()
    loss.backward()
    for key, value in dict(x=x, target=t, dx=x.grad, dtarget=t.grad).items():
        put(f"ssim.{tag}.{key}", nhwc(value).float())
    put(f"ssim.{tag}.loss", loss.float())

p = torch.softmax(torch.randn(2, 2, 4, 5) * 2, dim=1).requires_grad_()
mask = (torch.rand(2, 4, 5) > 0.7).float()
one_hot = torch.stack([1 - mask, mask], dim=1).clamp(1e-5, 1 - 1e-5)
pt = (p * one_hot).sum(1) + 1e-5
loss = (-((1 - pt) ** 2) * pt.log()).mean()
loss.backward()
put("focal.p", nhwc(p)), put("focal.mask", mask), put("focal.loss", loss), put("focal.dp", nhwc(p.grad))

# Adam: five steps with changing rate, gradients of very different size, one variable of 3x2.
for tag, size in [("vector", (40,)), ("matrix", (3, 2))]:
    var = torch.nn.Parameter(torch.randn(*size))
    put(f"adam.{tag}.start", var)
    optimiser = torch.optim.Adam([var], lr=1e-2)
    for step in range(5):
        optimiser.param_groups[0]["lr"] = [1e-2, 1e-2, 3e-3, 3e-3, 1e-3][step]
        var.grad = torch.randn(*size) * 10.0 ** torch.randint(-6, 3, size)
        put(f"adam.{tag}.gradient{step}", var.grad)
        optimiser.step()
        put(f"adam.{tag}.after{step}", var)
    put(f"adam.{tag}.m", optimiser.state[var]["exp_avg"])
    put(f"adam.{tag}.v", optimiser.state[var]["exp_avg_sq"])

# The operators from here on were made with a seed of their own.
torch.manual_seed(21)


def case(tag, y, images, others):
    """Backpropagates a random upstream; stores arguments, result and gradients."""
    up = torch.randn_like(y)
    (y * up).sum().backward()
    put(f"{tag}.y", nhwc(y))
    put(f"{tag}.up", nhwc(up))
    for name, t in images.items():
        put(f"{tag}.{name}", nhwc(t))
        put(f"{tag}.d{name}", nhwc(t.grad))
    for name, t in others.items():
        put(f"{tag}.{name}", t)
        put(f"{tag}.d{name}", t.grad)


# Convolutions: kernel, stride, padding, channels, size.
for tag, k, stride, padding, ci, co, h, w in [
    ("point", 1, 1, 0, 5, 9, 4, 6),
    ("point2", 1, 2, 0, 4, 6, 5, 8),
    ("half", 3, 2, 1, 6, 10, 7, 8),
    ("same", 3, 1, 1, 3, 4, 5, 5),
    ("stem", 7, 2, 3, 3, 8, 11, 12),
]:
    x, weight, bias = leaf(2, ci, h, w), leaf(co, ci, k, k, scale=0.3), leaf(co)
    case(f"conv.{tag}", F.conv2d(x, weight, bias, stride=stride, padding=padding), dict(x=x), dict(weight=weight, bias=bias))

# Transposed convolutions that double the size exactly.
for tag, k, ci, co, h, w in [("point", 1, 6, 4, 3, 4), ("three", 3, 6, 5, 4, 3), ("seven", 7, 5, 1, 5, 4)]:
    x, weight = leaf(2, ci, h, w), leaf(ci, co, k, k, scale=0.3)
    y = F.conv_transpose2d(x, weight, stride=2, padding=k // 2, output_padding=1)
    assert y.shape[2:] == (2 * h, 2 * w)
    case(f"transposed.{tag}", y, dict(x=x), dict(weight=weight))

# Pool: few distinct values, so that there are many ties, at odd and even sizes.
for tag, h, w in [("odd", 7, 5), ("even", 6, 8)]:
    x = torch.randint(-2, 3, (2, 3, h, w)).float().requires_grad_()
    case(f"pool3.{tag}", F.max_pool2d(x, 3, 2, 1), dict(x=x), {})

# Sums with and without ReLU; some sums are exactly 0.
for tag, f in [("add", lambda a, b: a + b), ("add_relu", lambda a, b: F.relu(a + b))]:
    a, b = leaf(2, 3, 4, 5), leaf(2, 3, 4, 5)
    with torch.no_grad():
        b[0, 0] = -a[0, 0]
    case(tag, f(a, b), dict(a=a, b=b), {})

x = leaf(2, 3, 4, 5, scale=4.0)
case("sigmoid", torch.sigmoid(x), dict(x=x), {})

# Cross-entropy with soft labels; for certain predictions logarithm and gradient are bounded (the reference's gradient is not).
p = torch.rand(2, 1, 5, 6) * 0.96 + 0.02
t = torch.rand(2, 1, 5, 6)
t[0, 0, 0] = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.5, 0.0])
certain = p.clone()
certain[1, 0, 0] = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
t[1, 0, 0] = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5, 0.5])
for tag, p in [("bce", p), ("bce_certain", certain)]:
    p = p.clone().requires_grad_()
    loss = F.binary_cross_entropy(p, t)
    loss.backward()
    put(f"{tag}.p", nhwc(p))
    put(f"{tag}.dp", nhwc(p.grad))
    put(f"{tag}.t", nhwc(t))
    put(f"{tag}.loss", loss)

# Truncated L1 beside a focal loss, as SuperSimpleNet defines it: the means over normal and over anomalous pixels, added. Some
# pixels just reach the margin; in the second case no pixel is anomalous.
torch.manual_seed(22)
for tag, share in [("truncated_l1", 0.3), ("truncated_l1_normal", 0.0)]:
    logits = torch.randn(2, 2, 4, 5)
    mask = (torch.rand(2, 4, 5) < share).float()
    logits[0, 0, 0], logits[0, 1, 0] = 0.25, torch.where(mask[0, 0] > 0, 0.75, -0.25)
    logits.requires_grad_()
    score = logits[:, 1] - logits[:, 0]
    normal = torch.clip(score[mask == 0] + 0.5, min=0)
    anomalous = torch.clip(0.5 - score[mask > 0], min=0)
    loss = normal.mean() + (anomalous.mean() if len(anomalous) else 0)
    loss.backward()
    put(f"{tag}.logits", nhwc(logits))
    put(f"{tag}.dlogits", nhwc(logits.grad))
    put(f"{tag}.mask", mask)
    put(f"{tag}.loss", loss)

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.safetensors")
save_file(out, path, metadata={"made_by": f"make.py with torch {torch.__version__}"})
print(path, os.path.getsize(path), "bytes,", len(out), "tensors")
