"""The convolutions and poolings of VGG-16, forward, in PyTorch."""

import math

import numpy
import torch
from torch.nn import functional

from inputs import uniform


class Vgg:
    def __init__(self, case):
        extent, channels = case["extent"], 3
        self.image = uniform(case["batch"] * 3 * extent * extent, 99).float().view(case["batch"], 3, extent, extent)
        self.layers = []
        for i, block in enumerate(case["blocks"]):
            for j, count in enumerate(block):
                bound = float(numpy.float32(math.sqrt(6 / (9 * channels))))
                values = uniform(count * channels * 9, 100 + 10 * i + j).float() * bound
                self.layers.append((values.view(count, channels, 3, 3), j == len(block) - 1))
                channels = count

    def run(self):
        with torch.inference_mode():
            x = self.image
            for weight, ends_block in self.layers:
                x = functional.relu(functional.conv2d(x, weight, padding=1))
                if ends_block:
                    x = functional.max_pool2d(x, 2)
            return x

    def output(self):
        return self.run().reshape(-1)
