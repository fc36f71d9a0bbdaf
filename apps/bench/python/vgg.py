"""The convolutions and poolings of VGG in PyTorch: forward, or a step of gradient descent."""

import math

import numpy
import torch
from torch.nn import functional

from inputs import tokens, uniform

CHECKED_STEPS = 3


class Vgg:
    def __init__(self, case, dtype=torch.float32):
        extent, channels = case["extent"], 3
        self.is_step = case["pass"] == "step"
        self.learning_rate = case["learningRate"]
        image = uniform(case["batch"] * 3 * extent * extent, 99).float()
        self.image = image.view(case["batch"], 3, extent, extent).to(dtype)
        self.labels = tokens(case["batch"], 98, case["blocks"][-1][-1]).long()
        self.layers = []
        for i, block in enumerate(case["blocks"]):
            for j, count in enumerate(block):
                bound = float(numpy.float32(math.sqrt(6 / (9 * channels))))
                values = uniform(count * channels * 9, 100 + 10 * i + j).float() * bound
                weight = values.view(count, channels, 3, 3).to(dtype).requires_grad_(self.is_step)
                self.layers.append((weight, j == len(block) - 1))
                channels = count

    def features(self):
        x = self.image
        for weight, ends_block in self.layers:
            x = functional.relu(functional.conv2d(x, weight, padding=1))
            if ends_block:
                x = functional.max_pool2d(x, 2)
        return x

    def step(self):
        """Returns the loss before the update."""
        loss = functional.cross_entropy(self.features().mean((2, 3)), self.labels)
        weights = [weight for weight, _ in self.layers]
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients):
                weight.sub_(gradient, alpha=self.learning_rate)
        return loss.detach()

    def run(self):
        if self.is_step:
            return self.step()
        with torch.inference_mode():
            return self.features()

    def output(self):
        """The features; for a step the losses of the first ones, [CHECKED_STEPS]."""
        if self.is_step:
            return torch.stack([self.run() for _ in range(CHECKED_STEPS)])
        return self.run().reshape(-1)
