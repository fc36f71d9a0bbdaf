"""Convolutions and their gradients in PyTorch."""

import torch
from torch.nn import functional

from inputs import uniform


def draw(shape, seed):
    length = 1
    for extent in shape:
        length *= extent
    return uniform(length, seed).float().view(shape)


class Conv2d:
    """Filters and images are square; padding is to the same extent, the odd zero at the end."""

    def __init__(self, case):
        self.case = case
        batch, channels, filters = case["batch"], case["channels"], case["filters"]
        extent, window, stride = case["extent"], case["window"], case["stride"]
        positions = -(-extent // stride)
        total = max(0, (positions - 1) * stride + window - extent)
        self.low, self.high = total // 2, total - total // 2
        self.input = draw((batch, channels, extent, extent), 21)
        self.filter = draw((filters, channels, window, window), 22)
        self.error = draw((batch, filters, positions, positions), 23)

    def run(self):
        case = self.case
        even = self.low == self.high
        # Padding of different sides is an op of its own; its elements are cut off the gradient.
        padded = self.input if even else functional.pad(self.input, [self.low, self.high] * 2)
        padding = self.low if even else 0
        with torch.inference_mode():
            if case["pass"] == "forward":
                return functional.conv2d(padded, self.filter, stride=case["stride"], padding=padding)
            mask = [case["pass"] == "backward-input", case["pass"] == "backward-filter", False]
            stride = [case["stride"]] * 2
            gradients = torch.ops.aten.convolution_backward(
                self.error, padded, self.filter, None, stride, [padding] * 2, [1, 1], False, [0, 0], 1, mask
            )
            if case["pass"] == "backward-filter":
                return gradients[1]
            low, extent = self.low - padding, case["extent"]
            return gradients[0][:, :, low : low + extent, low : low + extent]

    def output(self):
        return self.run().reshape(-1)
