"""Greedy decoding with an attention decoder: the likeliest token, again and again, in a batch.

What is written first is a language's tag, where the model has tags: the likeliest of those that are
allowed.  Then the decoder is given the model's ``text_prompt`` (Whisper's task), then it writes the
text up to the end of the sentence.

A text that does not end by itself is ended by ``decoding.runaway``; training's validation, stage 12
and ``transcribe`` all decode here.

Shapes: B utterances, S encoder frames, H channels, U tokens, V vocabulary, G languages.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from espnet2.asr.espnet_model import ESPnetASRModel

from asr_dro_plugin.decoding.abs_decoder import TokenPath
from asr_dro_plugin.decoding.runaway import GrowingText, WritingLimits, chars_of_tokens
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.text.tokens import BLANK
from asr_dro_plugin.text.whisper_tokens import SPECIAL


def greedy_paths(
    model: ESPnetASRModel,
    encoder_out: torch.Tensor,
    encoder_out_lens: torch.Tensor,
    allowed: np.ndarray | None = None,
    max_tokens: int | None = None,
    durations: Sequence[float] | None = None,
    limits: WritingLimits | None = None,
) -> list[TokenPath | None]:
    """The path of each utterance: its tag, if the model has tags, and its text.

    The score is the log probability of all that was written, the end of the sentence too.

    Args:
        model: in evaluation mode, with an attention decoder.
        encoder_out, encoder_out_lens: (B, S, H), (B,).
        allowed: (B, G) of bool, in the order of the token list's tags; None is all.
        max_tokens: of a text; by default as many as the decoder has positions for, or one a frame.
        durations: seconds of sound of each utterance, which bound its text; None: nothing does.
        limits: when a text is ended that does not end by itself; None is the default.

    Returns:
        None for an utterance that the model gives NaN for.
    """
    kind = RememberedSteps if hasattr(model.decoder, "remember") else WholeSteps
    steps = kind(model.decoder, encoder_out, encoder_out_lens)
    tags = list(tag_ids(tuple(model.token_list)))
    most = room(model, encoder_out_lens, bool(tags), max_tokens)
    written = Written(_growing(model, most, durations, limits or WritingLimits()), model.eos)
    first = torch.tensor([beginning(model)], device=encoder_out.device)
    logits = steps(first.expand(len(encoder_out), -1))
    if tags:
        outside = torch.ones(logits.shape, dtype=torch.bool, device=logits.device)
        some = np.ones((len(logits), len(tags)), bool) if allowed is None else allowed
        outside[:, tags] = ~torch.from_numpy(np.asarray(some, bool)).to(logits.device)
        ids = written.add_tags(logits, outside)
        logits = steps(with_prompt(ids, getattr(model, "text_prompt", ())))
    _write_text(model, steps, written, logits)
    return written.paths()


def _growing(
    model: ESPnetASRModel,
    most: Sequence[int],
    durations: Sequence[float] | None,
    limits: WritingLimits,
) -> list[GrowingText]:
    """One empty text an utterance."""
    chars_V = chars_of_tokens(model.token_list, getattr(model, "token_type", "char"))
    seconds = [None] * len(most) if durations is None else durations
    return [
        GrowingText(chars_V, limits.most_chars(each), tokens, limits.end_repetition)
        for each, tokens in zip(seconds, most, strict=True)
    ]


def _write_text(model, steps, written: "Written", logits: torch.Tensor) -> None:
    """Token by token, until every utterance's text has ended or is to end."""
    never = never_in_text(model, logits.device)
    outside = never.clone()
    outside[list(getattr(model.decoder, "begin_suppress_tokens", ()))] = True  # not as the first
    while True:
        ids = written.add(logits, outside)
        outside, going = never, written.going()
        if not len(going):
            return
        if len(going) <= len(ids) // 2:  # a smaller batch from here on
            ids = ids[going]
            steps.select(going)
            written.select(going)
        logits = steps(ids)


class Written:
    """What has been written of each utterance; those that go on are the rows of the next step.

    Args:
        texts: one an utterance, empty.
        eos: id of the end of a sentence.
    """

    def __init__(self, texts: Sequence[GrowingText], eos: int) -> None:
        self.texts, self.eos = texts, eos
        self.tags: list[tuple[int, float]] = []  # id and log probability
        self.rows = list(range(len(texts)))  # the utterance of each row of the next step

    def add_tags(self, logits: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
        """Write the likeliest tag (B, 1) of (B, V) that is not ``outside``, (B, V) of bool."""
        best, pairs = likeliest(logits, outside)
        self.tags = pairs
        for text, (_, score) in zip(self.texts, pairs, strict=True):
            text.is_going = text.is_going and not math.isnan(score)
        return best

    def add(self, logits: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
        """Write the likeliest token (rows, 1) of (rows, V) that is not ``outside``, (V,)."""
        best, pairs = likeliest(logits, outside)
        for number, (token, score) in zip(self.rows, pairs, strict=True):
            text = self.texts[number]
            if not text.is_going:
                continue
            if token == self.eos or math.isnan(score):
                text.end(score)
            else:
                text.add(token, score)
        return best

    def going(self) -> torch.Tensor:
        """Rows that have not ended."""
        return torch.tensor([r for r, n in enumerate(self.rows) if self.texts[n].is_going])

    def select(self, rows: torch.Tensor) -> None:
        """Keep some rows for the next steps."""
        self.rows = [self.rows[row] for row in rows.tolist()]

    def paths(self) -> list[TokenPath | None]:
        """One an utterance, None where a probability was none."""
        tags = [[pair] for pair in self.tags] or [[] for _ in self.texts]
        return [_path(*pair) for pair in zip(tags, self.texts, strict=True)]


def _path(tag: Sequence[tuple[int, float]], text: GrowingText) -> TokenPath | None:
    """Of no or one tag with its score, and a text."""
    score = sum([*(score for _, score in tag), *text.scores])
    if math.isnan(score):
        return None
    ids = (*(token for token, _ in tag), *text.ids)
    return TokenPath(ids, float(score), am_score=float(score), ended_early=text.why)


def likeliest(
    logits: torch.Tensor, outside: torch.Tensor
) -> tuple[torch.Tensor, list[tuple[int, float]]]:
    """The likeliest token of each row that is not ``outside``: as (rows, 1), and on the host with
    its log probability (rows)."""
    log_probs = logits.float().log_softmax(dim=-1)
    best = log_probs.masked_fill(outside, -math.inf).max(dim=-1)
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return best.indices[:, None], list(pairs)


@lru_cache(maxsize=4)
def tag_ids(token_list: tuple[str, ...]) -> tuple[int, ...]:
    """Ids of a token list's language tags, in its order."""
    return tuple(number for number, token in enumerate(token_list) if split_tag(token)[0])


@lru_cache(maxsize=4)
def not_text(token_list: tuple[str, ...]) -> tuple[int, ...]:
    """Ids of what no text holds: tags, the blank, special tokens."""
    special = (
        number
        for number, token in enumerate(token_list)
        if token == BLANK or SPECIAL.fullmatch(token)
    )
    return (*tag_ids(token_list), *special)


def never_in_text(model: ESPnetASRModel, device: torch.device) -> torch.Tensor:
    """(V,) of bool: what no text holds, and what the decoder suppresses."""
    never = torch.zeros(len(model.token_list), dtype=torch.bool)
    suppressed = getattr(model.decoder, "suppress_tokens", ())
    never[[*not_text(tuple(model.token_list)), *suppressed]] = True
    never[model.eos] = False
    return never.to(device)


def with_prompt(ids: torch.Tensor, prompt: Sequence[int]) -> torch.Tensor:
    """(B, 1) tags with the same tokens behind each, (B, 1 + P)."""
    return torch.cat([ids, ids.new_tensor(list(prompt)).expand(len(ids), -1)], dim=1)


def beginning(model: ESPnetASRModel) -> list[int]:
    """What the decoder reads first; ESPnet's ``lang_token_id`` stands behind the start."""
    lang = getattr(model, "lang_token_id", None)
    return [model.sos, *([] if lang is None else lang.flatten().tolist())]


def room(
    model: ESPnetASRModel, lengths: torch.Tensor, has_tag: bool, max_tokens: int | None
) -> list[int]:
    """Tokens (B,) that each text may have: as many as are asked for, else the utterance's frames
    (B,); never more than there are positions for."""
    positions = getattr(model.decoder, "max_positions", None)
    if positions is None:
        return [length if max_tokens is None else max_tokens for length in lengths.tolist()]
    around = len(beginning(model)) + has_tag + len(getattr(model, "text_prompt", ()))
    most = min(positions - around, positions if max_tokens is None else max_tokens)
    return [most] * len(lengths)


class RememberedSteps:
    """The next tokens (B, U) -> logits (B, V) of the one after them, by a decoder that remembers
    what it has read."""

    def __init__(self, decoder, encoder_out: torch.Tensor, lengths: torch.Tensor) -> None:
        self.decoder, self.memory = decoder, decoder.remember(encoder_out, lengths)

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        return self.decoder.step(ids, self.memory)

    def select(self, rows: torch.Tensor) -> None:
        """Go on with some utterances."""
        self.memory.select(rows)


class WholeSteps:
    """The same for ESPnet's decoders: everything is read again in every step."""

    def __init__(self, decoder, encoder_out: torch.Tensor, lengths: torch.Tensor) -> None:
        self.decoder, self.encoder_out, self.lengths = decoder, encoder_out, lengths
        self.ids = torch.zeros(len(encoder_out), 0, dtype=torch.long, device=encoder_out.device)

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        self.ids = torch.cat([self.ids, ids], dim=1)
        num_tokens = self.lengths.new_full((len(ids),), self.ids.shape[1])
        return self.decoder(self.encoder_out, self.lengths, self.ids, num_tokens)[0][:, -1]

    def select(self, rows: torch.Tensor) -> None:
        """Go on with some utterances; ESPnet's RNN wants no frame behind the longest."""
        self.ids, self.lengths = self.ids[rows], self.lengths[rows]
        self.encoder_out = self.encoder_out[rows, : int(self.lengths.max())]
