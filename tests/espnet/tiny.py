"""Models of a few thousand parameters, ESPnet's and ours from the same arguments."""

import torch

TOKENS = ["<blank>", "<unk>", "[deu]", "[eng]", "<space>", "a", "b", "c", "d", "<sos/eos>"]
NAMES = ["deu", "eng", "fra"]


def parts(encoder="conv_ctc", decoder=False, encoder_conf=None, ctc_conf=None):
    """Arguments of a model: log-mel, a small encoder, CTC, perhaps a decoder."""
    from espnet2.asr.ctc import CTC
    from espnet2.layers.utterance_mvn import UtteranceMVN
    from espnet2.tasks.asr import encoder_choices, frontend_choices

    frontend = frontend_choices.get_class("default")(n_fft=512, hop_length=160, n_mels=20)
    conf = {"hidden_size": 16, "num_blocks": 1, "kernel_size": 3, "dropout": 0.1}
    net = encoder_choices.get_class(encoder)(input_size=20, **(encoder_conf or conf))
    size = net.output_size()
    made = {
        "vocab_size": len(TOKENS), "token_list": TOKENS, "frontend": frontend, "specaug": None,
        "normalize": UtteranceMVN(), "preencoder": None, "encoder": net, "postencoder": None,
        "decoder": None, "ctc": CTC(len(TOKENS), size, **(ctc_conf or {})), "joint_network": None,
        "ctc_weight": 1.0,
    }  # fmt: skip
    return made | ({"decoder": attention_decoder(size)} if decoder else {})


def attention_decoder(size):
    """One transformer block over an encoder's output of ``size``."""
    from espnet2.asr.decoder.transformer_decoder import TransformerDecoder

    sizes = {"attention_heads": 2, "linear_units": 16, "num_blocks": 1}
    return TransformerDecoder(len(TOKENS), size, **sizes)


def transformer_parts(**changes):
    """The same with a transformer that gives the output of each of its two layers."""
    conf = {"output_size": 16, "attention_heads": 2, "linear_units": 16, "num_blocks": 2}
    return parts("transformer", encoder_conf={**conf, **changes})


def batch(lengths=(16000, 12000, 9000), labels=(5, 4, 2), seed=0, group_ids=(0, 1, 1)):
    """Noise with random labels among a, b, c and d."""
    generator = torch.Generator().manual_seed(seed)
    speech = torch.randn(len(lengths), max(lengths), generator=generator)
    text = torch.randint(5, 9, (len(labels), max(labels)), generator=generator)
    for row, length in enumerate(labels):
        text[row, length:] = -1
    return {
        "speech": speech,
        "speech_lengths": torch.tensor(lengths),
        "text": text,
        "text_lengths": torch.tensor(labels),
        "group_ids": torch.tensor(group_ids)[:, None],
        "group_ids_lengths": torch.ones(len(lengths), dtype=torch.long),
        "utt_id": [f"utt{row}" for row in range(len(lengths))],
    }
