"""Token lists, and text to tokens exactly as ESPnet does it, without importing ESPnet.

A list is ``<blank>``, ``<unk>``, the language tags sorted, the symbols by frequency and then by
code point, ``<sos/eos>``.  Id = line number.  Tests hold every tokenizer here against espnet2.text.
"""

import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text import whisper_tokens
from asr_dro_plugin.text.normalizers import split_tag

BLANK, UNK, SOS_EOS = "<blank>", "<unk>", "<sos/eos>"
SPACE = "<space>"
WORD_START = "\u2581"  # sentencepiece's mark of a word's beginning
MADE_OF_TEXT = ("char", "bpe", "word")
TOKEN_TYPES = (*MADE_OF_TEXT, "hugging_face")  # Whisper's own
MAX_SENTENCE_BYTES = 1 << 20  # sentencepiece passes over longer lines in silence

Tokenizer = Callable[[str], list[str]]


def espnets_search_fault(tokens: Sequence[str], eos: str = SOS_EOS) -> str:
    """What a list has, or has not, that ESPnet's search over CTC misreads; '' if nothing."""
    blank = tokens.index(BLANK) if BLANK in tokens else 0
    if blank != 0:
        return (
            f"{BLANK} as token number {blank}, and ESPnet's own search takes the first one for it"
        )
    if eos not in tokens:
        return f"no {eos}, and ESPnet's own search takes the last token for the end of a sentence"
    return ""


def characters_of_tokens(tokens: Iterable[str]) -> set[str]:
    """What a token list can spell: the characters of its pieces, and its tags whole."""
    known = set()
    for token in tokens:
        if token in (BLANK, UNK, SPACE, SOS_EOS):
            continue
        if len(token) > 2 and token[0] == "[" and token[-1] == "]":
            known.add(token)
        else:
            known.update(token.replace(WORD_START, ""))
    return known


def build_tokenizer(
    token_type: str,
    nlsyms: Iterable[str] = (),
    bpemodel: str | os.PathLike | None = None,
    language: str | None = None,
) -> Tokenizer:
    """A function text -> tokens.

    Args:
        token_type: char, bpe, word, or hugging_face (Whisper's, see ``whisper_tokens``).
        nlsyms: non-linguistic symbols, atomic for char (the others have them in their models).
        bpemodel: sentencepiece model file, for bpe; ``tokenizer.json``, for hugging_face.
        language: ISO 639-3 of texts without a tag, for hugging_face.

    Raises:
        UserError: another type, or one without its model.
    """
    if token_type == "char":
        return _char_tokenizer(nlsyms)
    if token_type == "word":
        return str.split
    if token_type == "bpe" and bpemodel:
        return _bpe_tokenizer(bpemodel)
    if token_type == "bpe":
        raise UserError("Token type bpe needs its sentencepiece model. Give --bpemodel.")
    if token_type == "hugging_face" and bpemodel:
        return whisper_tokens.WhisperTokenizer(bpemodel, language)
    if token_type == "hugging_face":
        raise UserError("Token type hugging_face needs its tokenizer.json. Give --bpemodel.")
    raise UserError(f"Token type '{token_type}' is none of {' '.join(TOKEN_TYPES)}.")


def _char_tokenizer(nlsyms: Iterable[str]) -> Tokenizer:
    """Longest non-linguistic symbol first, else one character; a space becomes ``<space>``."""
    symbols = sorted((s for s in nlsyms if s), key=len, reverse=True)
    pattern = re.compile("|".join([*map(re.escape, symbols), "."]), re.DOTALL)

    def tokenize(text: str) -> list[str]:
        return [SPACE if token == " " else token for token in pattern.findall(text)]

    return tokenize


def _bpe_tokenizer(bpemodel: str | os.PathLike) -> Tokenizer:
    import sentencepiece

    if not Path(bpemodel).is_file():
        raise UserError(f"{bpemodel} does not exist. Run stage 5.")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(bpemodel))
    return processor.encode_as_pieces


def read_symbols(path: str | os.PathLike) -> list[str]:
    """Read the token list of any model, wherever its special symbols stand.

    Raises:
        UserError: an empty line, or a token twice.
    """
    tokens = [line[:1] + line[1:].rstrip() for line in read_lines(path)]
    for number, token in enumerate(tokens, 1):
        if not token:
            raise UserError(f"{path}:{number} is empty. A token list has one token a line.")
    if twice := [token for token, count in Counter(tokens).items() if count > 1]:
        raise UserError(f"{path} has '{twice[0]}' twice. Every token has one id.")
    return tokens


def read_tokens(path: str | os.PathLike) -> list[str]:
    """Read a token list as it is made here; one of Whisper's has its own special symbols.

    Raises:
        UserError: as ``read_symbols``, or one of the three special symbols is not in its place.
    """
    tokens = read_symbols(path)
    if whisper_tokens.is_whisper_list(tokens):
        return tokens
    if tokens[:1] != [BLANK] or UNK not in tokens or tokens[-1] != SOS_EOS:
        raise UserError(
            f"{path} must begin with {BLANK}, have {UNK}, and end with {SOS_EOS}. Run stage 5."
        )
    return tokens


def token_ids(tokenizer: Tokenizer, tokens: Sequence[str]) -> Callable[[str], list[int]]:
    """A function text -> ids in ``tokens``; what is not there becomes ``<unk>``.

    Whisper's list has no such symbol: there it is an error.
    """
    if whisper_tokens.is_whisper_list(tokens):
        to_ids = whisper_tokens.strict_ids(tokens)
        return lambda text: to_ids(tokenizer(text))
    ids = {token: index for index, token in enumerate(tokens)}
    unk = ids[UNK]
    return lambda text: [ids.get(token, unk) for token in tokenizer(text)]


def tags_of(texts: dict[str, str], lid: bool, where: str) -> list[str]:
    """The language tags of a training text, sorted.

    Raises:
        UserError: a line without a tag though ``lid``, or with one though not.
    """
    tags = set()
    for utt_id, text in texts.items():
        lang = split_tag(text)[0]
        if lid and lang is None:
            raise UserError(
                f"{where} has no language tag at '{utt_id}'. Run stage 1 with --lid true, "
                "or stage 5 with --lid false."
            )
        if not lid and lang is not None:
            raise UserError(
                f"{where} has the language tag [{lang}] at '{utt_id}'. Run stage 1 with "
                "--lid false, or stage 5 with --lid true."
            )
        if lang is not None:
            tags.add(f"[{lang}]")
    return sorted(tags)


def tags_in(token_list: Iterable[str]) -> list[str]:
    """The language tags of a token list, in its order."""
    return [token for token in token_list if split_tag(token)[0]]


def by_frequency(counts: Counter[str]) -> list[str]:
    """Symbols by falling frequency, then by code point."""
    return sorted(counts, key=lambda symbol: (-counts[symbol], symbol))


def count_tokens(texts: Iterable[str], tokenizer: Tokenizer) -> Counter[str]:
    """How often each token occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer(text))
    return counts


def make_list(tags: Sequence[str], symbols: Iterable[str], init: Sequence[str] = ()) -> list[str]:
    """A token list; with ``init``, its symbols keep their order and what is new follows them.

    The ids of a list that was made here stay.  Of another model's, whose special symbols are
    elsewhere or missing, these come to their places: continuing goes by the symbol, not the id.
    """
    head = [BLANK, UNK, *(s for s in init if s not in (BLANK, UNK, SOS_EOS))]
    if init[:1] == [BLANK] and UNK in init and init[-1] == SOS_EOS:
        head = list(init[:-1])
    known = {*head, SOS_EOS}
    new = dict.fromkeys(s for s in [*tags, *symbols] if s not in known)
    return [*head, *new, SOS_EOS]


def train_bpe(texts: Iterable[str], nbpe: int, tags: Sequence[str]) -> tuple[bytes, list[str]]:
    """Train a unigram sentencepiece model with whole tags; returns it and its pieces in order.

    The text is taken as stage 1 normalised it (no further normalisation).

    Raises:
        UserError: ``nbpe`` is more or less than the text allows; the message says what it allows.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            vocab_size=nbpe,
            model_type="unigram",
            character_coverage=1.0,
            normalization_rule_name="identity",
            user_defined_symbols=list(tags),
            max_sentence_length=MAX_SENTENCE_BYTES,
            num_threads=1,  # more threads sum in another order: another model
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(_bpe_refusal(nbpe, str(error))) from None
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [processor.id_to_piece(index) for index in range(processor.get_piece_size())]
    return model.getvalue(), pieces[3:]  # without sentencepiece's own <unk>, <s>, </s>


def _bpe_refusal(nbpe: int, said: str) -> str:
    """One line from what sentencepiece says about an impossible size."""
    if found := re.search(r"Vocabulary size too high.*?value <= (\d+)", said, re.DOTALL):
        return f"--nbpe {nbpe} is more than this text has pieces. Set --nbpe {found[1]} or less."
    if found := re.search(r"smaller than required_chars.*?(\d+) vs (\d+)", said, re.DOTALL):
        return (
            f"--nbpe {nbpe} is less than this text has characters. Set --nbpe {found[2]} or more."
        )
    return f"sentencepiece cannot train --nbpe {nbpe}: {' '.join(said.split())}"


def make_token_list(
    texts: dict[str, str],
    out_dir: str | os.PathLike,
    where: str,
    token_type: str = "char",
    nbpe: int = 500,
    lid: bool = True,
    word_min_count: int = 1,
    init_tokens: str | os.PathLike | None = None,
    model_dir: str | os.PathLike | None = None,
) -> list[str]:
    """Write ``tokens.txt``, ``nlsyms.txt`` and, for bpe, ``bpe.model``; returns the tokens.

    For hugging_face it is ``tokenizer.json``: the tokenizer of ``model_dir``.

    Args:
        texts: training transcripts, utt_id -> text with its tag if ``lid``.
        out_dir: the folder of the token list.
        where: the text's name, for messages.
        token_type: char, bpe, word or hugging_face.
        nbpe: pieces of a sentencepiece model.
        lid: whether the texts begin with language tags.
        word_min_count: rarer words become ``<unk>``.
        init_tokens: the list of an older model, kept as ``make_list`` says (not for bpe); that of a
            Whisper has its tokenizer beside it.
        model_dir: folder of a Whisper, for hugging_face.
    """
    out = Path(out_dir)
    tags = tags_of(texts, lid, where)
    _check_sources(token_type, init_tokens, model_dir)
    init = read_symbols(init_tokens) if init_tokens else []
    nlsyms = sorted({*tags, *tags_in(init)})
    (out / "tokens.txt").unlink(missing_ok=True)  # the list is finished when this file is there
    if token_type == "hugging_face":
        folder = Path(init_tokens).parent if init_tokens else Path(model_dir)
        symbols = whisper_tokens.copy_tokenizer(folder, out, tags)
        tokens = whisper_tokens.with_new_tags(init or symbols, tags)
    elif token_type == "bpe":
        model, symbols = train_bpe(texts.values(), nbpe, tags)
        with atomic_write(out / "bpe.model", "wb") as stream:
            stream.write(model)
        tokens = make_list(tags, symbols)
    else:
        counts = count_tokens(texts.values(), build_tokenizer(token_type, nlsyms))
        least = word_min_count if token_type == "word" else 1
        frequent = Counter({s: c for s, c in counts.items() if c >= least})
        tokens = make_list(tags, by_frequency(frequent), init)
    for name, lines in (("nlsyms.txt", nlsyms), ("tokens.txt", tokens)):
        with atomic_write(out / name) as stream:
            stream.writelines(line + "\n" for line in lines)
    return tokens


def _check_sources(token_type: str, init_tokens: object, model_dir: object) -> None:
    """What a list of a type is made of, and cannot be."""
    if token_type == "bpe" and init_tokens:
        raise UserError(
            "--token_type bpe cannot continue another model's tokens: a sentencepiece model has a "
            "fixed inventory. Give --token_type char or word."
        )
    if token_type == "hugging_face" and not (model_dir or init_tokens):
        raise UserError(
            "--token_type hugging_face takes its tokens from a Whisper. Give --ssl_checkpoint."
        )
