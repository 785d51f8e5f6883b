"""Golden values and gradients of the operators of residual networks and of NSA, made by PyTorch.

    python make_residual.py            # writes residual.safetensors beside itself

Images are stored in NHWC order, weights in PyTorch's order. Every gradient is that of sum(output * upstream), with the upstream
stored, or of the scalar loss itself. Stored output: torch 2.15.0 (CPU, float32).
"""

import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(21)
torch.set_num_threads(1)
out = {}


def nhwc(t):
    return t.detach().permute(0, 2, 3, 1).contiguous()


def put(name, t):
    out[name] = t.detach().contiguous().clone()


def leaf(*shape, scale=1.0):
    return (torch.randn(*shape) * scale).requires_grad_()


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

save_file(out, os.path.join(os.path.dirname(os.path.abspath(__file__)), "residual.safetensors"))
print(torch.__version__, sum(t.numel() for t in out.values()), "numbers")
