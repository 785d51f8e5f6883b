"""The other side of `compare patchcore`: python patchcore.py WORK FOLDER THREADS (see patchcore.rs).

coreset: what the official code computes, step by step, with torch: the squares of all vectors anew for every pick, a
concatenation with the distances so far, a minimum along it. search: FAISS's flat index.
"""

import sys

import numpy
import torch

import serve

work, folder, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.set_num_threads(threads)


def read(name, width):
    return numpy.fromfile(f"{folder}/{name}.f32", dtype=numpy.float32).reshape(-1, width)


def distances(vectors, others):
    """Euclidean distances, all to all."""
    own = torch.bmm(vectors[:, None, :], vectors[:, :, None]).reshape(-1, 1)
    theirs = torch.bmm(others[:, None, :], others[:, :, None]).reshape(1, -1)
    return (own + theirs - 2 * vectors.mm(others.T)).clamp(min=0).sqrt()


class Coreset:
    def __init__(self):
        self.features = torch.from_numpy(read("features", 1024))
        self.linear = torch.nn.Linear(1024, 128, bias=False)
        self.linear.weight.data = torch.from_numpy(read("projection", 1024))
        self.starts = [int(v) for v in open(f"{folder}/starts.txt").read().split()]

    @torch.no_grad()
    def run(self):
        points = self.linear(self.features)
        nearest = distances(points, points[self.starts]).mean(dim=1, keepdim=True)
        chosen = []
        for _ in range(len(points) // 100):
            farthest = torch.argmax(nearest).item()
            chosen.append(farthest)
            new = distances(points, points[farthest : farthest + 1])
            nearest = torch.cat([nearest, new], dim=1).min(dim=1, keepdim=True).values
        return chosen

    @torch.no_grad()
    def check(self):
        chosen = self.run()
        points = self.linear(self.features).double()
        nearest = torch.cdist(points, points[chosen]).min(dim=1).values
        return [nearest.max(), nearest.mean(), len(chosen) / (len(points) // 100)]


class Search:
    def __init__(self):
        try:
            import faiss
        except ImportError as reason:
            serve.skip(reason)
        faiss.omp_set_num_threads(threads)
        self.index = faiss.IndexFlatL2(1024)
        self.index.add(read("bank", 1024))
        self.queries = read("queries", 1024)

    def run(self):
        return self.index.search(self.queries, 1)[0]

    def check(self):
        found = self.run().astype(numpy.float64)
        return [found.max(), found.mean(), len(found) / len(self.queries)]


side = {"coreset": Coreset, "search": Search}[work]()
serve.serve(side.run, side.check)
