"""The other side of `compare efficientnet`: python efficientnet.py PEER WEIGHTS IMAGE NAME THREADS IMAGES (see efficientnet.rs).

Both peers are given the image as they like it, normalised, channels first (or last), before anything is timed.

The ONNX file is written here, message by message (a Protocol Buffers file), so that nothing but onnxruntime is needed; batch norms are
folded into the convolutions beforehand, as onnxruntime would do it itself.
"""

import json
import math
import struct
import sys

import numpy as np

import serve

peer, weights, image, name = sys.argv[1:5]
threads, images = int(sys.argv[5]), int(sys.argv[6])
SIDE = 256


def read(path):
    """A safetensors file of f32 tensors."""
    data = open(path, "rb").read()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for key, entry in json.loads(data[8:begin]).items():
        if key != "__metadata__" and entry["dtype"] == "F32":
            first, end = (begin + at for at in entry["data_offsets"])
            tensors[key] = np.frombuffer(data[first:end], np.float32).reshape(entry["shape"])
    return tensors


def summary(maps):
    """Every 97th number of both maps, in NHWC order."""
    return np.concatenate([np.ravel(np.transpose(m, (0, 2, 3, 1)))[::97] for m in maps])


def normalized():
    pixels = np.fromfile(image, np.uint8).reshape(1, SIDE, SIDE, 3)
    return np.ascontiguousarray((pixels.transpose(0, 3, 1, 2).astype(np.float32) - 127) / 128)


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """A field of a message: a whole number, or bytes, a text or another message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


class Model:
    def __init__(self):
        self.graph, self.count, self.size = b"", 0, {}

    def constant(self, values):
        values = np.ascontiguousarray(values, np.float32)
        self.count += 1
        dims = b"".join(field(1, d) for d in values.shape)
        self.graph += field(5, dims + field(2, 1) + field(8, f"c{self.count}") + field(9, values.tobytes()))
        return f"c{self.count}"

    def node(self, kind, inputs, **attributes):
        self.count += 1
        message = b"".join(field(1, i) for i in inputs) + field(2, f"v{self.count}") + field(4, kind)
        for key, value in attributes.items():
            if isinstance(value, int):
                message += field(5, field(1, key) + field(3, value) + field(20, 2))
            else:
                message += field(5, field(1, key) + b"".join(field(8, v) for v in value) + field(20, 7))
        self.graph += field(1, message)
        return f"v{self.count}"

    def conv(self, x, weight, bias, stride, groups):
        n, k = self.size[x], weight.shape[2]
        out = math.ceil(n / stride)
        total = max((out - 1) * stride + k - n, 0)
        pads = [total // 2] * 2 + [total - total // 2] * 2
        y = self.node(
            "Conv", [x, self.constant(weight), self.constant(bias)], pads=pads, strides=[stride, stride], group=groups,
            kernel_shape=[k, k], dilations=[1, 1],
        )
        self.size[y] = out
        return y

    def relu6(self, x):
        y = self.node("Clip", [x, self.constant(np.array(0.0)), self.constant(np.array(6.0))])
        self.size[y] = self.size[x]
        return y

    def value(self, key, dims):
        shape = b"".join(field(1, field(1, d)) for d in dims)
        return field(1, key) + field(2, field(1, field(1, 1) + field(2, shape)))

    def bytes(self, outputs):
        graph = self.graph + field(2, "network") + field(11, self.value("image", (1, 3, SIDE, SIDE)))
        for key, channels in outputs:
            graph += field(12, self.value(key, (1, channels, self.size[key], self.size[key])))
        return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def onnx(network):
    def folded(conv, norm):
        scale = (norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt())[:, None, None, None]
        bias = norm.bias.double() - norm.running_mean.double() * scale.flatten()
        return (conv.weight.double() * scale).detach().float().numpy(), bias.detach().float().numpy()

    model = Model()
    model.size["image"] = SIDE
    x = model.relu6(model.conv("image", *folded(network._conv_stem, network._bn0), 2, 1))
    outputs = []
    for index, block in enumerate(network._blocks):
        y = x
        if hasattr(block, "_expand_conv"):
            y = model.relu6(model.conv(y, *folded(block._expand_conv, block._bn0), 1, 1))
        depthwise = block._depthwise_conv
        y = model.relu6(model.conv(y, *folded(depthwise, block._bn1), depthwise.stride[0], depthwise.groups))
        y = model.conv(y, *folded(block._project_conv, block._bn2), 1, 1)
        if block.shortcut:
            y, size = model.node("Add", [x, y]), model.size[x]
            model.size[y] = size
        x = y
        if network.ends.get(index) in (8, 16):
            outputs.append((x, block._project_conv.out_channels))
    return model.bytes(outputs)


def network():
    import torch

    import efficientnet_lite

    torch.set_num_threads(threads)
    net = efficientnet_lite.Lite(name)
    net.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in read(weights).items()}, strict=False)
    return net.eval()


def many(run):
    for _ in range(images):
        run()


def onnxruntime_side():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    x = normalized()
    run = lambda: session.run(None, {"image": x})
    serve.serve(lambda: many(run), lambda: summary(run()))


def torch_side(channels_last):
    import torch

    net, x = network(), torch.from_numpy(normalized())
    if channels_last:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode():
            maps = net(x)
            return [maps[8].numpy(), maps[16].numpy()]

    serve.serve(lambda: many(run), lambda: summary(run()))


if peer == "onnxruntime":
    onnxruntime_side()
elif peer == "export":
    # Instead of an image, the file to write; without PyTorch in its memory the other process begins.
    open(image, "wb").write(onnx(network()))
    serve.serve(lambda: None, lambda: [])
else:
    torch_side(peer.endswith("channels-last"))
