"""Writes the weight files that the reader of PyTorch's layouts is tested on: python3 pytorch.py (torch 2.x).

Every number follows a rule that the test repeats; the types hold them exactly.
"""

import collections
import pathlib

import torch

HERE = pathlib.Path(__file__).parent


def rule(count):
    return torch.tensor([float(i * 37 % 23) - 11.0 for i in range(count)])


state = collections.OrderedDict()
state["conv.weight"] = torch.nn.Parameter(rule(12).reshape(2, 3, 2))
state["double"] = rule(12).double().reshape(2, 3, 2)
state["half"] = rule(12).half().reshape(2, 3, 2)
state["brain"] = rule(12).bfloat16().reshape(2, 3, 2)
state["transposed"] = rule(6).reshape(2, 3).t()
state["part"] = rule(12)[5:9]
state["num_batches_tracked"] = torch.tensor(77)
state._metadata = collections.OrderedDict({"": {"version": 1}})
torch.save(state, HERE / "zip.pth")
torch.save(state, HERE / "legacy.pth", _use_new_zipfile_serialization=False)
