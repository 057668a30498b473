"""QuartzNet written plainly in torch, layer by layer as in NeMo's state: the tests' reference.

Its tensors have NeMo's names, so that loading a state of ours into it proves the names too.
"""

import torch
from torch import nn


class Masked(nn.Module):
    """A convolution under the name that NeMo's masked ones have."""

    def __init__(self, *arguments, **keywords):
        super().__init__()
        self.conv = nn.Conv1d(*arguments, bias=False, **keywords)

    def forward(self, x):
        return self.conv(x)


class SqueezeExcite(nn.Module):
    """Gate over all frames."""

    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 8, bias=False),
            nn.ReLU(),
            nn.Linear(channels // 8, channels, bias=False),
        )

    def forward(self, x):
        return x * torch.sigmoid(self.fc(x.mean(dim=2)))[:, :, None]


class PlainBlock(nn.Module):
    """One entry of NeMo's ``jasper`` list."""

    def __init__(self, size, shape, masked):
        super().__init__()
        conv = Masked if masked else lambda *a, **k: nn.Conv1d(*a, bias=False, **k)
        k, s, d, out = shape.kernel, shape.stride, shape.dilation, shape.filters
        layers, channels = [], size
        for number in range(shape.repeat):
            along = {"kernel_size": k, "stride": s, "dilation": d, "padding": d * (k - 1) // 2}
            if shape.separable:
                layers.append(conv(channels, channels, groups=channels, **along))
                layers.append(conv(channels, out, kernel_size=1))
            else:
                layers.append(conv(channels, out, **along))
            layers.append(nn.BatchNorm1d(out, eps=1e-3))
            if number < shape.repeat - 1:
                layers += [nn.ReLU(), nn.Dropout(0.0)]
            channels = out
        if shape.se:
            layers.append(SqueezeExcite(out))
        self.mconv = nn.ModuleList(layers)
        self.res = None
        if shape.residual:
            path = [conv(size, out, kernel_size=1), nn.BatchNorm1d(out, eps=1e-3)]
            self.res = nn.ModuleList([nn.ModuleList(path)])

    def forward(self, x):
        y = x
        for layer in self.mconv:
            y = layer(y)
        if self.res is not None:
            for layer in self.res[0]:
                x = layer(x)
            y = y + x
        return torch.relu(y)


class PlainQuartzNet(nn.Module):
    """(B, D, T) -> (B, C, S); every utterance is as long as the batch."""

    def __init__(self, size, shapes, masked=True):
        super().__init__()
        sizes = [size, *(shape.filters for shape in shapes)]
        blocks = [PlainBlock(n, shape, masked) for n, shape in zip(sizes, shapes, strict=False)]
        self.encoder = nn.Module()
        self.encoder.encoder = nn.Sequential(*blocks)

    def forward(self, x):
        return self.encoder.encoder(x)
