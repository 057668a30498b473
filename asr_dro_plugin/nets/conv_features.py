"""wav2vec 2.0's convolutions on a CPU as matrix products over frames, channels last.

torch's Conv1d wants channels first and the layer norms between want them last, so that more time
goes into moving numbers than into the norms.  Here each layer is a matrix of rows: ``stride`` input
frames side by side are one row, which times the first part of the kernel, plus the next row times
its rest, is one output frame.  The waveforms of a batch are padded to whole frames of the last
layer, so that all layers of all utterances are one such matrix; the rows at an utterance's end
that reach over into the next are no frames of either and are cut off.

Where the convolutions are frozen they run in pieces of a few frames that stay in the processor's
cache.  The numbers are those of the modules (1e-5).
"""

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

PIECE = 100 * 512  # output frames x channels of a piece: 13 MB after the first layer
SMALL = 64  # numbers in a window that are copied side by side rather than multiplied in two parts


def fits(extractor: nn.Module, speech: torch.Tensor) -> bool:
    """Whether a feature extractor of transformers can be computed here."""
    if torch.jit.is_tracing():  # pieces are of numbers that would be frozen
        return False
    if speech.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    if speech.dtype != torch.float32 or speech.requires_grad:
        return False
    if not (hasattr(extractor, "conv_layers") and _is_gelu(extractor)):
        return False
    convs = [layer.conv for layer in extractor.conv_layers]
    norms = [getattr(layer, "layer_norm", None) for layer in extractor.conv_layers]
    if any(isinstance(norm, nn.GroupNorm) for norm in norms[1:]):
        return False
    plain = all(
        type(conv) is nn.Conv1d and not (conv._forward_hooks or conv._forward_pre_hooks)
        for conv in convs
    )
    return plain and all(c.stride[0] <= c.kernel_size[0] <= 2 * c.stride[0] for c in convs)


def _is_gelu(extractor: nn.Module) -> bool:
    names = {type(layer.activation).__name__ for layer in extractor.conv_layers}
    return names <= {"GELUActivation", "GELU"}


def conv_features(
    extractor: nn.Module, speech: torch.Tensor, num_samples: torch.Tensor
) -> torch.Tensor:
    """Speech (B, N) -> features (B, S, C), S as the convolutions give for N.

    Args:
        extractor: one that ``fits``.
        num_samples: (B,); a group norm looks at so much of each utterance alone.
    """
    layers = list(extractor.conv_layers)
    strides = [layer.conv.stride[0] for layer in layers]
    num_frames = _length(layers, speech.shape[1])
    whole = math.prod(strides)
    speech = functional.pad(speech, (0, -speech.shape[1] % whole))
    trained = torch.is_grad_enabled() and any(p.requires_grad for p in extractor.parameters())
    weights = [rows_of(layer.conv) for layer in layers]
    if trained:
        features = _all_at_once(layers, weights, speech, num_samples)
    else:
        with torch.no_grad():
            features = _in_pieces(layers, weights, speech, num_samples)
    return features[:, :num_frames]


def _length(layers: list[nn.Module], length):
    """Frames that the layers give for ``length`` samples."""
    for layer in layers:
        length = (length - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1
    return length


def rows_of(conv: nn.Conv1d) -> torch.Tensor:
    """A kernel (O, C, k) as the matrix (k * C, O) that multiplies frames side by side."""
    return conv.weight.permute(2, 1, 0).reshape(-1, conv.out_channels)


def _all_at_once(
    layers: list[nn.Module],
    weights: list[torch.Tensor],
    speech: torch.Tensor,
    num_samples: torch.Tensor,
) -> torch.Tensor:
    """(B, R, C), every step known to autograd."""
    x = speech.reshape(-1, 1)
    for layer, weight in zip(layers, weights, strict=True):
        if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
            size, step = layer.conv.kernel_size[0], layer.conv.stride[0]
            windows = _windows(x, size, step).view(len(speech), -1, size)
            matrices, biases = with_group_norm(layer, weight, speech, num_samples)
            x = torch.baddbmm(biases, windows, matrices).view(-1, weight.shape[1])
        else:
            x = StridedProduct.apply(x, weight, layer.conv.bias, layer.conv.stride[0])
            x = layer.layer_norm(x) if hasattr(layer, "layer_norm") else x
        x = functional.gelu(x)
    return x.view(len(speech), -1, x.shape[1])


def with_group_norm(
    layer: nn.Module, weight: torch.Tensor, speech: torch.Tensor, num_samples: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, k, O) and (B, 1, O): kernel and bias of a first layer with its group norm in them.

    Mean and variance of a channel over an utterance follow from those of its windows of samples:
    w'm and w'Cw, so that the layer's output is not looked at.
    """
    conv, norm = layer.conv, layer.layer_norm
    windows = speech.unfold(1, conv.kernel_size[0], conv.stride[0]).double()
    frames = _length([layer], num_samples)[:, None, None].double()
    inside = torch.arange(windows.shape[1])[None, :, None] < frames
    mean = (windows * inside).sum(1, keepdim=True) / frames
    centred = (windows - mean) * inside
    covariance = centred.transpose(1, 2) @ centred / frames
    kernel = weight.double()
    variance = ((covariance @ kernel) * kernel).sum(1, keepdim=True)
    scale = norm.weight.double() * torch.rsqrt(variance + norm.eps)
    bias = norm.bias.double() - (mean @ kernel) * scale  # a bias of the kernel would cancel
    return (kernel * scale).to(weight), bias.to(weight)


def _in_pieces(
    layers: list[nn.Module],
    weights: list[torch.Tensor],
    speech: torch.Tensor,
    num_samples: torch.Tensor,
) -> torch.Tensor:
    """(B, R, C) without a graph, a few frames at a time."""
    whole = math.prod(layer.conv.stride[0] for layer in layers)
    reach = _receptive_field(layers) - whole  # samples that a frame looks at beyond its own
    reach += -reach % whole
    out = speech.new_empty(speech.numel() // whole, weights[-1].shape[1])
    flat = functional.pad(speech.reshape(-1), (0, reach))
    num_frames, size = speech.shape[1] // whole, max(PIECE // weights[0].shape[1], 1)
    grouped = isinstance(getattr(layers[0], "layer_norm", None), nn.GroupNorm)
    first = with_group_norm(layers[0], weights[0], speech, num_samples) if grouped else None
    for row, start, end in _pieces(len(speech), num_frames, size, grouped):
        x = flat[start * whole : end * whole + reach].view(-1, 1)
        for layer, weight in zip(layers, weights, strict=True):
            bias = layer.conv.bias
            if grouped and layer is layers[0]:
                weight, bias = first[0][row], first[1][row, 0]
            x = _strided_product(x, weight, bias, layer.conv.stride[0])
            if isinstance(getattr(layer, "layer_norm", None), nn.LayerNorm):
                x = layer.layer_norm(x)
            x = torch.ops.aten.gelu_(x)
        out[start:end] = x[: end - start]
    return out.view(len(speech), -1, out.shape[1])


def _pieces(
    num_rows: int, num_frames: int, size: int, within_rows: bool
) -> Iterator[tuple[int, int, int]]:
    """(utterance, first frame, last frame + 1) over the frames of a batch side by side."""
    spans = [(row, row * num_frames, (row + 1) * num_frames) for row in range(num_rows)]
    if not within_rows:
        spans = [(0, 0, num_rows * num_frames)]
    for row, begin, stop in spans:
        for start in range(begin, stop, size):
            yield row, start, min(start + size, stop)


def _receptive_field(layers: list[nn.Module]) -> int:
    """Samples that one output frame looks at."""
    field = 1
    for layer in reversed(layers):
        field = (field - 1) * layer.conv.stride[0] + layer.conv.kernel_size[0]
    return field


def _strided_product(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: int
) -> torch.Tensor:
    """As ``StridedProduct``, without gradients."""
    if len(weight) <= SMALL:
        windows = _windows(x, len(weight), stride)
        return windows @ weight if bias is None else torch.addmm(bias, windows, weight)
    rows = x.view(-1, stride * x.shape[1])
    head, rest = weight[: rows.shape[1]], weight[rows.shape[1] :]
    out = rows @ head if bias is None else torch.addmm(bias, rows, head)
    if len(rest):
        out[:-1].addmm_(rows[1:, : len(rest)], rest)
    return out


def _windows(x: torch.Tensor, size: int, stride: int) -> torch.Tensor:
    """(T / stride, size): the numbers under the kernel at each of its places, copied."""
    step, channels = stride * x.shape[1], x.shape[1]
    padded = functional.pad(x.reshape(-1), (0, max(size - stride * channels, 0)))
    return padded.unfold(0, size, step)


class StridedProduct(torch.autograd.Function):
    """(T, C) frames, kernel as of ``rows_of``, bias and stride -> (T / stride, O).

    The last row lacks what follows the end.

    Two matrix products forward; two for the kernel's gradient and two for the input's back.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, stride):
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.has_bias = stride, bias is not None
        return _strided_product(x, weight, bias, stride)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        rows = x.view(-1, ctx.stride * x.shape[1])
        width, rest = rows.shape[1], len(weight) - rows.shape[1]
        grads = [None, None, None, None]
        if ctx.needs_input_grad[0]:
            grads[0] = gradient @ weight[:width].T
            if rest:
                grads[0][1:, :rest].addmm_(gradient[:-1], weight[width:].T)
            grads[0] = grads[0].view_as(x)
        if ctx.needs_input_grad[1]:
            parts = [rows.T @ gradient]
            if rest:
                parts.append(rows[1:, :rest].T @ gradient[:-1])
            grads[1] = torch.cat(parts)
        if ctx.has_bias and ctx.needs_input_grad[2]:
            grads[2] = gradient.sum(0)
        return tuple(grads)
