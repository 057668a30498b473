"""ESPnet's ASR model with the loss of each utterance weighted by its group."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.distributed as dist
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.legacy.nets.pytorch_backend.transformer.add_sos_eos import add_sos_eos
from espnet2.torch_utils.device_funcs import force_gatherable

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.decoding.runaway import WritingLimits
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.model import aux_ctc, losses
from asr_dro_plugin.espnet.model.attention_greedy import greedy_paths, with_prompt
from asr_dro_plugin.espnet.model.ctc_scorer import CTCAsDecoder, NoCTC, has_ctc
from asr_dro_plugin.espnet.model.group_scores import GroupScores, best_path_ids, count_errors
from asr_dro_plugin.espnet.model.lengths import num_samples_of
from asr_dro_plugin.espnet.model.losses import UtteranceLosses
from asr_dro_plugin.groups import GroupMap
from asr_dro_plugin.objectives import build_objective
from asr_dro_plugin.objectives.totals import sum_over_ranks
from asr_dro_plugin.text.auxiliary import INPUT
from asr_dro_plugin.text.tokens import SOS_EOS, espnets_search_fault

Losses = tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]
Between = Sequence[tuple[int, torch.Tensor]]


class DROASRModel(ESPnetASRModel):
    """``ESPnetASRModel`` that takes ``group_ids`` beside ``speech`` and ``text``.

    Args:
        groups: names of the groups in id order; kept in ``exp/.../config.yaml`` under
            ``model_conf`` so that ESPnet's own loaders build the same model.
        objective: name in ``objectives.OBJECTIVES``; None is ESPnet's own loss, as in experiments
            from before there were objectives.
        objective_conf: its options.
        text_prompt: tokens that the decoder is given between a text's language tag and its first
            piece, such as Whisper's task; they are given in decoding too, and no loss counts them.
        aux_token_list: units of the input ``text_aux``, which ``aux_ctc`` gives to layers of
            ``interctc_layer_idx``; their CTC layer is ``ctc_aux``.
    All other arguments are ESPnet's.

    ``validation`` holds the figures of each group since its last ``reset``; ``token_type``
    (char, bpe or word) is how tokens spell a text.
    """

    token_type = "char"
    search_fault = ""

    def __init__(
        self,
        *args,
        groups: list[str] | None = None,
        objective: str | None = None,
        objective_conf: dict | None = None,
        text_prompt: list[str] | None = None,
        aux_token_list: list[str] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.ctc_aux = self._built_auxiliary(aux_token_list)
        self.text_prompt = prompt_ids(text_prompt or (), self.token_list)
        if self.decoder is None and self.ctc is not None:
            self.decoder = CTCAsDecoder(self.ctc, self.eos)
            sym_eos = kwargs.get("sym_eos", SOS_EOS)
            self.search_fault = espnets_search_fault(self.token_list, sym_eos)
        self.group_map = GroupMap(groups) if groups else None
        losses.use_blank(self.ctc, self.blank_id)
        if self.ctc is None:
            self.ctc = NoCTC()
        self.objective = None
        self.validation = GroupScores(len(self.group_map)) if self.group_map else None
        if objective is not None:
            self.objective = self._built_objective(objective, objective_conf or {})

    @property
    def eos(self) -> int:
        """Id of the end of a sentence; of a model of CTC alone only ESPnet's own search asks.

        Raises:
            UserError: it would misread the model's tokens.
        """
        if self.search_fault:
            raise UserError(
                f"This model has {self.search_fault}. Use asr-dro unpack and asr-dro transcribe."
            )
        return self._eos

    @eos.setter
    def eos(self, number: int) -> None:
        self._eos = number

    def _built_auxiliary(self, tokens: list[str] | None) -> aux_ctc.AuxiliaryCTC | None:
        """The output layer of auxiliary targets, where a layer has some."""
        if INPUT not in (self.aux_ctc or {}).values():
            return None
        if tokens is None:
            raise UserError(aux_ctc.NO_UNITS)
        return aux_ctc.AuxiliaryCTC(tokens, self.encoder.output_size(), self.ctc.dropout_rate)

    def _built_objective(self, name: str, conf: Mapping) -> torch.nn.Module:
        if self.group_map is None:
            raise UserError(f"objective {name} needs groups. Give --groups (stage 10 writes them).")
        losses.refuse_without_losses(self, name)
        names = list(self.group_map.names)
        return build_objective(name, len(names), **{**conf, "group_names": names})

    def forward(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        group_ids: torch.Tensor | None = None,
        **kwargs,
    ) -> Losses:
        """Loss of a batch: the objective's in training, the plain mean in evaluation.

        So the validation losses of different objectives compare.  In evaluation the figures of
        each group are added to ``validation``.

        Args:
            speech: (B, samples); text: (B, U) padded with -1; their lengths: (B,).
            group_ids: (B,) or (B, 1) as the collate function stacks one number an utterance.
            kwargs: ``utt_id``, lengths, and ``num_samples`` where ``speech`` are features
                (B, T, D), as ESPnet passes them.

        Returns:
            loss (1,), stats by name, weight (1,) = B.  In a distributed run the losses, averaged
            over the ranks by these weights as ESPnet's trainer does, are the objective's.
        """
        if self.objective is None:
            if group_ids is not None:
                kwargs["group_ids"] = self.checked_group_ids(group_ids, speech.shape[0])
            if self.ctc_aux is not None:
                raise UserError(aux_ctc.NO_OBJECTIVE)
            return super().forward(speech, speech_lengths, text, text_lengths, **kwargs)
        parts = self.utterance_losses(
            speech, speech_lengths, text, text_lengths, group_ids=group_ids, **kwargs
        )
        if self.training:
            loss, _ = self.objective(**parts.by_utterance())
            loss = loss * utterance_share(len(speech), loss)
        else:
            loss = parts.mean(parts.losses_B)
            self._score(parts, text, text_lengths, kwargs.get("utt_id", ()))
        return force_gatherable((loss, self.stats_of(parts, loss), len(speech)), loss.device)

    def utterance_losses(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        group_ids: torch.Tensor | None = None,
        **kwargs,
    ) -> UtteranceLosses:
        """The loss of each utterance: ctc_weight * CTC + (1 - ctc_weight) * attention.

        Arguments are those of ``forward``.

        Raises:
            UserError: no group ids; an utterance without an alignment under
                ``ctc_conf.zero_infinity: false``.
        """
        if group_ids is None:
            raise UserError(
                "A batch came without group_ids, which the objective needs. Give the data entry "
                "utt2group,group_ids,text_int (stage 10 writes the file)."
            )
        group_ids = self.checked_group_ids(group_ids, len(speech))
        text = text.masked_fill(text == -1, self.ignore_id)
        encoder_out, lengths = self.encode(speech, speech_lengths)
        encoder_out, between = encoder_out if isinstance(encoder_out, tuple) else (encoder_out, ())
        samples = num_samples_of({"speech_lengths": speech_lengths, **kwargs})
        durations = samples.float() / SAMPLE_RATE
        parts = UtteranceLosses(group_ids, durations, lengths, text_lengths, encoder_out, lengths)
        if has_ctc(self):
            self._add_ctc(parts, between, text, text_lengths, kwargs)
        if self.ctc_weight != 1.0:
            self._add_attention(parts, text, text_lengths)
        return parts.finish()

    def stats_of(self, parts: UtteranceLosses, loss: torch.Tensor) -> dict:
        """ESPnet's stats of a batch, the same names in every step of training."""
        means = {
            "loss_ctc": None if parts.loss_ctc_B is None else parts.mean(parts.loss_ctc_B),
            "loss_att": None if parts.loss_att_B is None else parts.mean(parts.loss_att_B),
        }
        return {**means, **parts.stats, "loss": loss.detach()}

    def _add_ctc(
        self,
        parts: UtteranceLosses,
        between: Between,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        kwargs: Mapping,
    ) -> None:
        """CTC on the encoder's output and, by ``interctc_weight``, between its layers."""
        loss, parts.stats["cer_ctc"] = self._one_ctc(
            parts, parts.encoder_out, text, text_lengths, kwargs.get("utt_id")
        )
        parts.loss_ctc_B = loss.detach()
        inner = self.interctc_weight if between else 0.0
        beside = inner * self._share_of_auxiliary(between)  # that the groups' weights do not see
        parts.add(
            loss, self.ctc_weight * (1 - (inner - beside)),
            of_gradient=self.ctc_weight * (1 - inner) if beside else None,
        )  # fmt: skip
        weight = self.ctc_weight * inner / max(1, len(between))
        for layer, hidden in between if inner else ():
            labels = self._labels_of(layer, text, text_lengths, kwargs)
            if self._is_auxiliary(layer):
                loss = self._add_auxiliary(parts, hidden, labels, weight)
            else:
                loss, cer = self._one_ctc(parts, hidden, *labels, kwargs.get("utt_id"))
                parts.add(loss, weight)
                parts.stats[f"cer_interctc_layer{layer}"] = cer
            parts.stats[f"loss_interctc_layer{layer}"] = parts.mean(loss.detach())

    def _share_of_auxiliary(self, between: Between) -> float:
        """Share of the layers between that have auxiliary targets."""
        return sum(self._is_auxiliary(layer) for layer, _ in between) / max(1, len(between))

    def _is_auxiliary(self, layer: int) -> bool:
        """Whether ``aux_ctc`` gives a layer the input ``text_aux``."""
        return (self.aux_ctc or {}).get(str(layer)) == INPUT

    def _add_auxiliary(
        self, parts: UtteranceLosses, hidden: torch.Tensor, labels: tuple, weight: float
    ) -> torch.Tensor:
        """CTC of auxiliary targets: parameters learn from it, the groups' weights do not see it.

        Returns:
            Its loss (B,).
        """
        given = hidden, parts.num_frames_B, *labels
        loss = self.ctc_aux.losses(*given)
        parts.add(loss, 0.0, of_gradient=weight)
        if not self.training:
            parts.aux_errors = self.ctc_aux.count_errors(*given)
        return loss

    def _one_ctc(
        self,
        parts: UtteranceLosses,
        hidden: torch.Tensor,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        utt_ids: Sequence[str] | None,
    ) -> tuple[torch.Tensor, float | None]:
        """Losses (B,) on (B, T, D) and, in evaluation, ESPnet's CER of the batch."""
        infeasible = losses.num_needed_frames(text, text_lengths) > parts.num_frames_B
        if not self.ctc.ctc_loss.zero_infinity:
            losses.refuse_infeasible(infeasible, utt_ids)
        parts.infeasible_B = parts.infeasible_B | infeasible
        loss = losses.ctc_losses(self.ctc, hidden, parts.num_frames_B, text, text_lengths)
        if self.training or self.error_calculator is None:
            return loss, None
        best = self.ctc.argmax(hidden).cpu()
        return loss, self.error_calculator(best, text.cpu(), is_ctc=True)

    def _labels_of(
        self, layer: int, text: torch.Tensor, text_lengths: torch.Tensor, kwargs: Mapping
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels and lengths for CTC after a layer: the text, or another input by ``aux_ctc``."""
        name = (self.aux_ctc or {}).get(str(layer))
        if name is None:
            return text, text_lengths
        if name not in kwargs:
            raise UserError(
                f"aux_ctc names {name} for layer {layer}, but the data has no {name}."
                f"{aux_ctc.NO_DATA if name == INPUT else ''}"
            )
        return kwargs[name], kwargs[f"{name}_lengths"]

    def _add_attention(
        self, parts: UtteranceLosses, text: torch.Tensor, text_lengths: torch.Tensor
    ) -> None:
        """Label-smoothed cross entropy of the decoder, given the right labels so far."""
        inputs, lengths, target = self._decoder_labels(text, text_lengths)
        logits, _ = self.decoder(parts.encoder_out, parts.encoder_out_lens, inputs, lengths)
        loss = losses.attention_losses(self.criterion_att, logits, target)
        parts.loss_att_B = loss.detach()
        parts.add(loss, 1 - self.ctc_weight)
        parts.decoder_ids = without_prompt(logits.detach().argmax(dim=-1), self.text_prompt)
        target = without_prompt(target, self.text_prompt)
        parts.stats["acc"] = losses.accuracy(parts.decoder_ids, target, self.ignore_id)
        if not self.training and self.error_calculator is not None:
            calculated = self.error_calculator(parts.decoder_ids.cpu(), text.cpu())
            parts.stats["cer"], parts.stats["wer"] = calculated

    def _decoder_labels(
        self, text: torch.Tensor, text_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the decoder reads (B, U), its lengths (B,), and what it is to say (B, U).

        Of the prompt it is to say nothing: ``ignore_id``.
        """
        if self.lang_token_id is not None:
            first = self.lang_token_id.to(text.device).expand(len(text), 1)
            text, text_lengths = torch.cat([first, text], dim=1), text_lengths + 1
        num = len(self.text_prompt)
        if num:
            text = torch.cat([with_prompt(text[:, :1], self.text_prompt), text[:, 1:]], dim=1)
        inputs, target = add_sos_eos(text, self.sos, self.eos, self.ignore_id)
        target[:, 1 : 1 + num] = self.ignore_id
        return inputs, text_lengths + num + 1, target

    def _calc_att_loss(
        self,
        encoder_out: torch.Tensor,
        encoder_out_lens: torch.Tensor,
        ys_pad: torch.Tensor,
        ys_pad_lens: torch.Tensor,
    ) -> tuple:
        """Loss, accuracy, CER and WER of ESPnet's own training (objective none).

        Overrides a private method of ESPnet's, which knows no prompt.
        """
        if not self.text_prompt:
            return super()._calc_att_loss(encoder_out, encoder_out_lens, ys_pad, ys_pad_lens)
        parts = UtteranceLosses(
            ys_pad_lens, ys_pad_lens.float(), encoder_out_lens, ys_pad_lens, encoder_out,
            encoder_out_lens,
        )  # fmt: skip
        self._add_attention(parts, ys_pad, ys_pad_lens)
        loss = parts.losses_B.mean() / (1 - self.ctc_weight)
        return loss, *(parts.stats.get(key) for key in ("acc", "cer", "wer"))

    @torch.no_grad()
    def greedy_ids(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        allowed: np.ndarray | None = None,
        max_tokens: int | None = None,
        limits: WritingLimits | None = None,
    ) -> list[list[int] | None]:
        """Token ids of (B, samples) as the decoder writes them, the language's tag first if any.

        For models without CTC (CTC's best path: ``group_scores.best_path_ids``).  The model should
        be in evaluation mode.  Arguments behind the speech are those of ``greedy_paths``.

        Returns:
            None for an utterance that the model gives NaN for.
        """
        encoder_out, lengths = self.encode(speech, speech_lengths)
        encoder_out = encoder_out[0] if isinstance(encoder_out, tuple) else encoder_out
        seconds = (speech_lengths / SAMPLE_RATE).tolist()
        paths = greedy_paths(self, encoder_out, lengths, allowed, max_tokens, seconds, limits)
        return [None if path is None else list(path.ids) for path in paths]

    def _score(
        self,
        parts: UtteranceLosses,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        utt_ids: Sequence[str],
    ) -> None:
        """Add a batch to the figures of its groups: by greedy CTC, else by what the decoder writes,
        both as stage 12 decodes."""
        early = [False] * len(text)
        if has_ctc(self):
            logits = self.ctc.ctc_lo(parts.encoder_out).float()
            hyps = best_path_ids(logits, parts.encoder_out_lens, self.blank_id)
        else:
            encoded, seconds = (parts.encoder_out, parts.encoder_out_lens), parts.durations_B
            paths = greedy_paths(self, *encoded, durations=seconds.tolist())
            hyps = [None if path is None else list(path.ids) for path in paths]
            early = [bool(path and path.ended_early) for path in paths]
        refs = [row[:n] for row, n in zip(text.tolist(), text_lengths.tolist(), strict=True)]
        errors, ref_chars = count_errors(refs, hyps, self.token_list, self.token_type)
        self.validation.add(
            parts.group_ids_B, parts.losses_B, errors, ref_chars, parts.infeasible_B, early
        )
        self.validation.ended_early.update(itertools.compress(utt_ids, early))
        if parts.aux_errors is not None:
            self.validation.add_auxiliary(parts.group_ids_B, *parts.aux_errors)

    def checked_group_ids(self, group_ids: torch.Tensor, num_utterances: int) -> torch.Tensor:
        """``group_ids`` as (B,), refused where they cannot belong to this model's groups."""
        if group_ids.numel() != num_utterances:
            raise UserError(
                f"A batch of {num_utterances} utterances came with {group_ids.numel()} group ids; "
                "one a line is needed. Run stage 10 again."
            )
        flat = group_ids.reshape(-1)
        # Only where the ids are on the CPU: a look at a GPU tensor would stall the device.
        if self.group_map is not None and flat.device.type == "cpu":
            highest = int(flat.max())
            if highest >= len(self.group_map) or int(flat.min()) < 0:
                raise UserError(
                    f"Group id {highest} is outside 0..{len(self.group_map) - 1} "
                    f"({' '.join(self.group_map.names)}). Run stage 10 again."
                )
        return flat


def prompt_ids(prompt: Sequence[str], token_list: Sequence[str]) -> list[int]:
    """Ids of ``text_prompt``; one that the list lacks is an error."""
    if missing := [token for token in prompt if token not in token_list]:
        raise UserError(
            f"model_conf.text_prompt has {missing[0]}, which is no token of the list. A Whisper's "
            "list comes from stage 5 with --token_type hugging_face."
        )
    return [token_list.index(token) for token in prompt]


def without_prompt(ids: torch.Tensor, prompt: Sequence[int]) -> torch.Tensor:
    """(B, U) without the columns of a prompt that stands behind the first one."""
    return torch.cat([ids[:, :1], ids[:, 1 + len(prompt) :]], dim=1) if prompt else ids


def utterance_share(num_utterances: int, like: torch.Tensor) -> torch.Tensor | float:
    """Mean number of utterances of all ranks' batches, divided by this rank's; 1 alone.

    ESPnet's trainer multiplies a loss by the inverse, as fits a mean over utterances.  The
    objective's loss is divided by the same for all ranks already.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return 1.0
    total = sum_over_ranks(like.new_full((), num_utterances, dtype=torch.float64))
    return (total / (max(num_utterances, 1) * dist.get_world_size())).to(like.dtype)
