"""Matrix products in PyTorch."""

import torch

from inputs import uniform


class Matmul:
    """C [m, n] = op(A) op(B); a transposed operand is stored transposed and passed as a view."""

    def __init__(self, case):
        m, n, k = case["m"], case["n"], case["k"]
        a = uniform(m * k, 1).float()
        b = uniform(k * n, 2).float()
        self.a = a.view(k, m).t() if case["transposeA"] else a.view(m, k)
        self.b = b.view(n, k).t() if case["transposeB"] else b.view(k, n)

    def run(self):
        with torch.inference_mode():
            return self.a @ self.b

    def output(self):
        return self.run().reshape(-1)
