"""``nets.whisper`` as ESPnet's frontend, encoder and decoder: any Whisper of Hugging Face's.

``ssl_checkpoint`` gives them their ``model_config`` and, when training begins, their weights.
"""

import inspect
from pathlib import Path

import torch
from espnet2.asr.decoder.abs_decoder import AbsDecoder

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.parts.encoders import NetEncoder
from asr_dro_plugin.espnet.parts.hidden_layers import HiddenLayerFrontend
from asr_dro_plugin.features import SAMPLE_RATE
from asr_dro_plugin.features.whisper_mel import HOP, WhisperLogMel
from asr_dro_plugin.nets.hidden_layers import WhisperHiddenLayers
from asr_dro_plugin.nets.whisper import WhisperDecoder, WhisperEncoder
from asr_dro_plugin.nets.whisper_layers import Memory
from asr_dro_plugin.pretrained.hf_folders import read_weights
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.text.whisper_tokens import read_tokenizer, token_names

EMBEDDING = "embed_tokens.weight"


class HFWhisperEncoder(NetEncoder, net=WhisperEncoder):
    """Waveform to frames of 20 ms; see ``nets.whisper.WhisperEncoder`` for the arguments.

    With ``do_pad_trim`` every utterance is filled up to 30 s with silence, or cut there, as Whisper
    was trained.  Without, a batch is as long as its longest utterance, and padding is masked:
    several times faster on short utterances, and another input than the model knows.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        sizes = self.net.sizes
        self.features = WhisperLogMel(
            sizes.num_mel_bins, 2 * sizes.max_source_positions, self.net.do_pad_trim
        )

    @property
    def max_duration(self) -> float:
        """Seconds of speech that the encoder takes."""
        return self.features.max_frames * HOP / SAMPLE_RATE

    def load_pretrained(self, path: str | Path) -> None:
        """Take the encoder's weights of a Hugging Face folder."""
        load_part(self.net, Path(path), "encoder")

    def encoded(
        self, inputs: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) samples, (B,) -> (B, S, H), (B,)."""
        features, num_frames = self.features(inputs, lengths)
        return self.net(features, num_frames, torch.minimum(lengths // HOP, num_frames))


class HFWhisperFrontend(HiddenLayerFrontend, net=WhisperHiddenLayers):
    """Hidden states of a Whisper's encoder as features; see ``WhisperHiddenLayers``."""

    @property
    def max_duration(self) -> float:
        """Seconds of speech that the frontend takes."""
        return self.net.max_duration

    def load_pretrained(self, path: str | Path) -> None:
        """Take the encoder's weights of a Hugging Face folder."""
        load_part(self.net.model, Path(path), "encoder")


class HFWhisperDecoder(AbsDecoder):
    """``WhisperDecoder`` for ESPnet; see there for the arguments.

    Attributes:
        max_positions: tokens that the decoder can read.
        suppress_tokens, begin_suppress_tokens: ids that decoding never writes, and not first.
    """

    __signature__ = inspect.signature(WhisperDecoder)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__()
        self.net = WhisperDecoder(*args, **kwargs)
        self.max_positions = self.net.sizes.max_target_positions
        self.suppress_tokens = self.net.suppress_tokens
        self.begin_suppress_tokens = self.net.begin_suppress_tokens

    def load_pretrained(self, path: str | Path) -> None:
        """Take the decoder's weights of a Hugging Face folder; new tokens begin as its languages'
        mean."""
        load_part(self.net, Path(path), "decoder")

    def forward(
        self,
        hs_pad: torch.Tensor,
        hlens: torch.Tensor,
        ys_in_pad: torch.Tensor,
        ys_in_lens: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, S, H), (B,), (B, U), (B,) -> logits (B, U, V), (B,)."""
        return self.net(ys_in_pad, hs_pad, hlens), ys_in_lens

    def remember(self, encoder_out: torch.Tensor, encoder_out_lens: torch.Tensor) -> Memory:
        """The memory of ``step`` before the first token."""
        return self.net.remember(encoder_out, encoder_out_lens)

    def step(self, ids: torch.Tensor, memory: Memory) -> torch.Tensor:
        """Logits (B, V) after the last of the next tokens (B, U)."""
        return self.net.step(ids, memory, last=True)[:, 0]

    def init_state(self, x: torch.Tensor) -> None:
        """ESPnet's own search, which begins without Whisper's language and task, is refused."""
        raise UserError(
            "This model is a Whisper, which ESPnet's own search cannot decode. Use asr-dro unpack "
            "and asr-dro transcribe."
        )


def load_part(net: torch.nn.Module, folder: Path, part: str) -> None:
    """Copy the weights of a folder's ``part`` ("encoder", "decoder") into ``net``, each by name.

    Raises:
        UserError: a weight is missing or has another shape; more tokens than ``net`` has.
    """
    tensors = {name.removeprefix("model."): t for name, t in read_weights(folder).items()}
    given = {n.removeprefix(f"{part}."): t for n, t in tensors.items() if n.startswith(f"{part}.")}
    wanted = net.state_dict()
    if EMBEDDING in wanted and EMBEDDING in given:
        given[EMBEDDING] = with_new_rows(given[EMBEDDING], len(wanted[EMBEDDING]), folder)
    missing = sorted(set(wanted) - set(given))
    if missing:
        raise UserError(f"{folder} lacks {part}.{missing[0]}. Fetch it again.")
    for name, tensor in wanted.items():
        if given[name].shape != tensor.shape:
            raise UserError(
                f"{folder} has {part}.{name} of {tuple(given[name].shape)}, and its config.json "
                f"describes {tuple(tensor.shape)}. They are of two models: fetch it again."
            )
        tensor.copy_(given[name])


def with_new_rows(table: torch.Tensor, size: int, folder: Path) -> torch.Tensor:
    """An embedding with ``size`` rows: the given ones, then the mean of the languages' among them.

    Of all of them for a model that knows no languages by token, such as Whisper's English ones.

    Raises:
        UserError: fewer rows than are given.
    """
    if size < len(table):
        raise UserError(
            f"The token list has {size} tokens, and {folder} has {len(table)}. Make the list with "
            "stage 5 and --token_type hugging_face."
        )
    if size == len(table):
        return table
    names = token_names(read_tokenizer(folder), len(table))
    languages = [number for number, name in enumerate(names) if split_tag(name)[0]]
    known = table[languages] if languages else table
    mean = known.float().mean(dim=0, keepdim=True).to(table.dtype)
    return torch.cat([table, mean.expand(size - len(table), -1)])
