"""Single ops, and pieces of a training step, in PyTorch; operands as in src/cases/ops."""

import math

import torch
from torch.nn import functional

from inputs import tokens, uniform

LEARNING_RATE, BETA1, BETA2, EPSILON, WEIGHT_DECAY = 0.1, 0.9, 0.95, 1e-8, 0.1


def operand(shape, seed):
    return uniform(math.prod(shape), seed).float().view(*shape)


class Op:
    """A case: `run` gives a tuple of outputs."""

    def __init__(self, case):
        self.run = PROGRAMS[case["op"]](case["sizes"])

    def output(self):
        return torch.cat([output.detach().reshape(-1) for output in self.run()])


def without_gradients(compute):
    def run():
        with torch.inference_mode():
            return compute()

    return run


def softmax(sizes):
    x = operand((sizes["rows"], sizes["columns"]), 11)
    return without_gradients(lambda: (functional.softmax(x, -1),))


def layer_norm(sizes):
    shape = (sizes["rows"], sizes["columns"])
    x, gain, bias = operand(shape, 21), operand(shape[1:], 22), operand(shape[1:], 23)

    def forward():
        return functional.layer_norm(x, shape[1:], gain, bias, 1e-5)

    if not sizes["gradient"]:
        return without_gradients(lambda: (forward(),))
    inputs = [value.requires_grad_() for value in (x, gain, bias)]
    upstream = operand(shape, 24)
    return lambda: torch.autograd.grad(forward(), inputs, upstream)


def cross_entropy(sizes):
    logits = operand((sizes["rows"], sizes["classes"]), 31).requires_grad_()
    targets = tokens(sizes["rows"], 32, sizes["classes"])
    return lambda: torch.autograd.grad(functional.cross_entropy(logits, targets, reduction="sum"), [logits])


def attention(sizes):
    heads, length, depth = sizes["heads"], sizes["length"], sizes["depth"]
    query, key, value = (operand((heads, length, depth), seed) for seed in (41, 42, 43))
    future = torch.ones(length, length, dtype=torch.bool).triu(1)

    def forward():
        if hasattr(functional, "scaled_dot_product_attention"):
            return functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        scores = (query @ key.transpose(-2, -1)) * (1 / math.sqrt(depth))
        return functional.softmax(scores.masked_fill(future, float("-inf")), dim=-1) @ value

    if not sizes["gradient"]:
        return without_gradients(lambda: (forward(),))
    inputs = [tensor.requires_grad_() for tensor in (query, key, value)]
    upstream = operand((heads, length, depth), 44)
    return lambda: torch.autograd.grad(forward(), inputs, upstream)


def adamw(sizes):
    """The update by PyTorch's own fused-by-hand ops on fresh copies, as torch.optim.AdamW does it in place."""
    value, gradient, first, root = (operand((sizes["parameters"],), seed) for seed in (51, 52, 53, 54))
    second = root * root + 0.01

    def compute():
        moment = first.mul(BETA1).add_(gradient, alpha=1 - BETA1)
        square = second.mul(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        denominator = (square.sqrt() / math.sqrt(1 - BETA2**3)).add_(EPSILON)
        updated = value.mul(1 - LEARNING_RATE * WEIGHT_DECAY)
        updated.addcdiv_(moment, denominator, value=-LEARNING_RATE / (1 - BETA1**3))
        return updated, moment, square

    return without_gradients(compute)


def mlp(sizes):
    widths = sizes["widths"]
    x, y = operand((sizes["batch"], widths[0]), 61), operand((sizes["batch"], widths[-1]), 62)
    weights = [
        (operand((rows, columns), 63 + layer) * math.sqrt(6 / rows)).requires_grad_()
        for layer, (rows, columns) in enumerate(zip(widths, widths[1:]))
    ]

    def run():
        hidden = x
        for layer, weight in enumerate(weights):
            hidden = hidden @ weight
            if layer < len(weights) - 1:
                hidden = functional.relu(hidden)
        return torch.autograd.grad(functional.mse_loss(hidden, y), weights)

    return run


PROGRAMS = {
    "softmax": softmax,
    "layer-norm": layer_norm,
    "cross-entropy": cross_entropy,
    "attention": attention,
    "adamw": adamw,
    "mlp": mlp,
}
