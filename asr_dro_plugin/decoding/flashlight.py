"""Words of a lexicon under a word n-gram: flashlight-text's decoder with KenLM inside.

Source: Collobert et al., "Wav2Letter", 2016, section 3.3; Pratap et al., "wav2letter++", 2019.

It holds every word's spelling with the ``<space>`` behind it, so tokens must be characters; a frame
that may be a space is put behind the last one, for a text's last word has none.  It follows the
best alignment, not the sum over all (``log_add`` off), and lets go of Python's lock nowhere: more
threads would wait for each other, so speed comes from frames left out.  Measured against our own
search in ``benchmarks/bench_beam.py``.
"""

from collections.abc import Sequence

import numpy as np

from asr_dro_plugin.decoding.abs_decoder import TokenPath
from asr_dro_plugin.decoding.lm_scorers import LN10
from asr_dro_plugin.decoding.lm_spelling import Spelling, refuse_none
from asr_dro_plugin.decoding.weights import Weights
from asr_dro_plugin.errors import UserError, how_to_install
from asr_dro_plugin.lm.files import UNKNOWN, LmFiles
from asr_dro_plugin.lm.programs import load_kenlm
from asr_dro_plugin.text.tokens import SPACE

FLOOR = -100.0  # natural log of what cannot be: flashlight adds numbers, and -inf is none


class FlashlightSearch:
    """The best words of each utterance, one utterance at a time.

    The V ``tokens`` are characters and ``<space>``; ``left_out`` are words that they cannot spell.

    Raises:
        UserError: flashlight-text is not installed, or no word can be spelled.
    """

    def __init__(
        self, files: LmFiles, tokens: Sequence[str], spelling: Spelling, blank_id: int, config: dict
    ) -> None:
        self._fl, kenlm, dictionary = import_flashlight()
        self.config, self.blank_id, self.num_tokens = config, blank_id, len(tokens)
        self.space = tokens.index(SPACE)
        spelled, self.left_out = _spelled(files.words(), spelling)
        self.num_words = len(spelled)
        self.words = [*spelled, UNKNOWN]
        self.spellings = list(spelled.values())
        self.lm = load_kenlm(files.model, lambda path: kenlm(path, dictionary(self.words)))
        self.trie = self._trie()

    def _trie(self):
        trie = self._fl.Trie(self.num_tokens, self.space)
        start = self.lm.start(False)
        for number, ids in enumerate(self.spellings):
            trie.insert([*ids, self.space], number, self.lm.score(start, number)[1])
        trie.smear(self._fl.SmearingMode.MAX)
        return trie

    def reweigh(self, weights: Weights) -> None:
        """Use another alpha and beta from now on."""
        options = self._fl.LexiconDecoderOptions(
            beam_size=self.config["beam_size"],
            beam_size_token=self.config["beam_size_token"] or self.num_tokens,
            beam_threshold=self.config["beam_threshold"],
            lm_weight=weights.lm_weight * LN10,  # its KenLM gives logarithms to the base of 10
            word_score=weights.word_score,
            unk_score=-np.inf,
            sil_score=0.0,
            log_add=False,
            criterion_type=self._fl.CriterionType.CTC,
        )
        unk = len(self.words) - 1
        self.decoder = self._fl.LexiconDecoder(
            options, self.trie, self.lm, self.space, self.blank_id, unk, [], False
        )

    def __call__(
        self, log_probs: np.ndarray, lengths: np.ndarray, penalty: float = 0.0
    ) -> list[list[TokenPath]]:
        """The n best of each utterance, of natural logarithms (N, T, V) and lengths (N,).

        ``penalty`` is taken from the blank of every frame.
        """
        return [
            self._one(frames[:length], penalty)
            for frames, length in zip(log_probs, lengths, strict=True)
        ]

    def _one(self, frames: np.ndarray, penalty: float) -> list[TokenPath]:
        kept, certain = self._searched(frames)
        kept[:, self.blank_id] -= penalty
        certain -= penalty * (len(frames) - len(kept))
        last = np.full((1, self.num_tokens), FLOOR, np.float32)
        last[0, [self.blank_id, self.space]] = 0.0
        whole = np.ascontiguousarray(np.concatenate([np.maximum(kept, FLOOR), last]))
        best: dict[tuple[int, ...], TokenPath] = {}
        for found in self.decoder.decode(whole.ctypes.data, *whole.shape):
            words = [word for word in found.words if word >= 0]
            path = TokenPath(
                self._ids(words),
                found.score + certain,
                found.emittingModelScore + certain,
                found.lmScore * LN10,
            )
            best.setdefault(path.ids, path)  # several alignments may be of the same words
            if len(best) == self.config["nbest"]:
                break
        return list(best.values())

    def _searched(self, frames: np.ndarray) -> tuple[np.ndarray, float]:
        """Of each run of certain blanks the first frame, and the log probability of the rest."""
        blank, threshold = frames[:, self.blank_id], self.config["blank_threshold"]
        sure = blank > np.log(threshold) if threshold < 1 else np.zeros(len(blank), bool)
        left_out = sure.copy()
        left_out[1:] &= sure[:-1]
        left_out[:1] = False
        return frames[~left_out], float(blank[left_out].sum())

    def _ids(self, words: Sequence[int]) -> tuple[int, ...]:
        """Token ids of words with a space between two."""
        ids = [i for word in words for i in (*self.spellings[word], self.space)]
        return tuple(ids[:-1])


def _spelled(words: Sequence[str], spelling: Spelling) -> tuple[dict[str, list[int]], list[str]]:
    """Word -> its characters' tokens, and the words with a character that is no token."""
    ids = {text: index for index, text in enumerate(spelling.texts) if spelling.is_text[index]}
    spelled, left_out = {}, []
    for word in dict.fromkeys(words):
        if all(letter in ids for letter in word):
            spelled[word] = [ids[letter] for letter in word]
        else:
            left_out.append(word)
    refuse_none(spelled, left_out)
    return spelled, left_out


def import_flashlight():
    """flashlight-text's decoder module, its KenLM and its Dictionary."""
    try:
        from flashlight.lib.text import decoder
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary
    except ImportError:
        raise UserError(
            "Mode lm with a lexicon needs the package flashlight-text, which is not here: "
            f"{how_to_install('lm')}"
        ) from None
    return decoder, KenLM, Dictionary
