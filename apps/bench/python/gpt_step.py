"""A training step of a small GPT in PyTorch, after nanoGPT's published recipe (https://github.com/karpathy/nanoGPT).

Pre-norm blocks without biases or dropout, exact GELU, learned positions, the output projection tied to the token
embedding; cross-entropy, clipping to a global gradient norm, AdamW with weight decay on matrices only.
"""

import math

import torch
from torch.nn import functional

from inputs import tokens, uniform

BATCH_COUNT = 4
CHECKED_STEPS = 6


class GptStep:
    def __init__(self, case, dtype=torch.float32):
        self.case = case
        self.weights = {name: value.to(dtype).requires_grad_() for name, value in initial_weights(case)}
        matrices = [weight for weight in self.weights.values() if weight.dim() >= 2]
        gains = [weight for weight in self.weights.values() if weight.dim() < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": case["weightDecay"]}, {"params": gains, "weight_decay": 0.0}],
            lr=case["learningRate"],
            betas=tuple(case["betas"]),
            eps=case["epsilon"],
        )
        time = case["context"]
        self.future = torch.ones(time, time, dtype=torch.bool).triu(1)
        self.batches = [batch(case, index) for index in range(BATCH_COUNT)]
        self.steps = 0

    def run(self):
        """One step; returns the loss before the update."""
        inputs, targets = self.batches[self.steps % BATCH_COUNT]
        self.steps += 1
        logits = self.logits(inputs)
        loss = functional.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), self.case["clipNorm"])
        self.optimizer.step()
        return loss.detach()

    def output(self):
        """Losses of the first steps, [CHECKED_STEPS]."""
        return torch.stack([self.run() for _ in range(CHECKED_STEPS)])

    def logits(self, inputs):
        """Token numbers [batch, time] to logits [batch, time, vocabulary]."""
        weights = self.weights
        x = functional.embedding(inputs, weights["transformer.wte.weight"]) + weights["transformer.wpe.weight"]
        for layer in range(self.case["layers"]):
            block = f"transformer.h.{layer}"
            x = x + self.attention(self.normalize(x, f"{block}.ln_1"), f"{block}.attn")
            x = x + self.mlp(self.normalize(x, f"{block}.ln_2"), f"{block}.mlp")
        return functional.linear(self.normalize(x, "transformer.ln_f"), weights["transformer.wte.weight"])

    def normalize(self, x, name):
        return functional.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], None, 1e-5)

    def attention(self, x, name):
        batch_size, time, width = x.shape
        heads = self.case["heads"]
        projected = functional.linear(x, self.weights[f"{name}.c_attn.weight"])
        # Each [batch, heads, time, width / heads].
        query, key, value = (
            part.view(batch_size, time, heads, width // heads).transpose(1, 2) for part in projected.split(width, dim=2)
        )
        if hasattr(functional, "scaled_dot_product_attention"):
            mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            scores = (query @ key.transpose(-2, -1)) * (1 / math.sqrt(key.size(-1)))
            mixed = functional.softmax(scores.masked_fill(self.future, float("-inf")), dim=-1) @ value
        merged = mixed.transpose(1, 2).reshape(batch_size, time, width)
        return functional.linear(merged, self.weights[f"{name}.c_proj.weight"])

    def mlp(self, x, name):
        hidden = functional.gelu(functional.linear(x, self.weights[f"{name}.c_fc.weight"]))
        return functional.linear(hidden, self.weights[f"{name}.c_proj.weight"])


def initial_weights(case):
    """Names and float32 values, in the order that fixes their seeds; the same as gptParameters in src/cases/gpt-step.ts."""
    width = case["width"]
    residual = 0.02 / math.sqrt(2 * case["layers"])
    seed = 100

    def matrix(rows, columns, standard_deviation=0.02):
        nonlocal seed
        values = uniform(rows * columns, seed) * (standard_deviation * math.sqrt(3))
        seed += 1
        return values.view(rows, columns).float()

    yield "transformer.wte.weight", matrix(case["vocabulary"], width)
    yield "transformer.wpe.weight", matrix(case["context"], width)
    for layer in range(case["layers"]):
        block = f"transformer.h.{layer}"
        yield f"{block}.ln_1.weight", torch.ones(width)
        yield f"{block}.attn.c_attn.weight", matrix(3 * width, width)
        yield f"{block}.attn.c_proj.weight", matrix(width, width, residual)
        yield f"{block}.ln_2.weight", torch.ones(width)
        yield f"{block}.mlp.c_fc.weight", matrix(4 * width, width)
        yield f"{block}.mlp.c_proj.weight", matrix(width, 4 * width, residual)
    yield "transformer.ln_f.weight", torch.ones(width)


def batch(case, index):
    """Inputs and targets, each [batch, context]; targets are the inputs shifted by one."""
    context = case["context"]
    text = tokens(case["batch"] * (context + 1), 1000 + index, case["vocabulary"]).view(case["batch"], context + 1)
    return text[:, :-1].contiguous(), text[:, 1:].contiguous()
