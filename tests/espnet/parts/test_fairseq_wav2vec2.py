"""``fairseq_wav2vec2`` computes what fairseq computes, and never imports it."""

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from asr_dro_plugin.compat.fairseq import import_fairseq
from asr_dro_plugin.espnet.parts.hf_wav2vec2 import FairseqWav2Vec2Encoder
from asr_dro_plugin.pretrained.fairseq_files import read_config, read_fairseq
from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.stack.use_checkpoint import use_checkpoint
from tests.espnet.conftest import arguments, write_config
from tests.without_fairseq import FORBID

pytest_plugins = ["tests.fixtures_ssl"]
ROOT = Path(__file__).resolve().parents[3]
NORMED = {"extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True}
VARIANTS = {
    "post-LN, group norm": {},
    "pre-LN, layer norm": NORMED,
    "post-LN, layer norm": {"extractor_mode": "layer_norm"},
    "pre-LN, group norm": {"layer_norm_first": True},
    "no projection": NORMED | {"encoder_embed_dim": 8},
    "relu, odd position kernel": NORMED | {"activation_fn": "relu", "conv_pos": 15},
    "accurate gelu": {"activation_fn": "gelu_accurate"},
}
TOLERANCE = 1e-4


def tiny_settings(**changes):
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config

    return Wav2Vec2Config(**{
        "encoder_layers": 2, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 32,
        "encoder_attention_heads": 2, "conv_pos": 16, "conv_pos_groups": 4, "final_dim": 8,
        "conv_feature_layers": "[(8, 10, 5)] + [(8, 3, 2)] * 4 + [(8, 2, 2)] * 2",
        "quantize_targets": True, "latent_vars": 4, "latent_groups": 2, **changes,
    })  # fmt: skip


def randomised(model):
    """Norms and biases too, so that a swapped one shows."""
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model.eval()


def write(path, model, settings, normalize=False) -> Path:
    """A checkpoint as fairseq writes it, with task keys that it does not know."""
    from omegaconf import OmegaConf

    section = OmegaConf.to_container(OmegaConf.structured(settings), enum_to_str=True)
    task = {"_name": "audio_pretraining", "normalize": normalize, "multiple_train_files": False}
    cfg = {"model": section | {"_name": "wav2vec2"}, "task": task | {"eval_wer": False}}
    history = {"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {}}
    state = {
        "args": None, "cfg": cfg, "model": model.state_dict(), "last_optimizer_state": None,
        "optimizer_history": [history | {"num_updates": 0}],
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}},
    }  # fmt: skip
    torch.save(state, path)
    return path


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def pair(request, tmp_path_factory):
    """fairseq's own model, and our encoder with its file."""
    import_fairseq()
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Model

    torch.manual_seed(0)
    settings = tiny_settings(**VARIANTS[request.param])
    theirs = randomised(Wav2Vec2Model.build_model(settings))
    path = write(tmp_path_factory.mktemp("fairseq") / "tiny.pt", theirs, settings)
    return theirs, ours_of(path)


def ours_of(path, **conf):
    encoder = FairseqWav2Vec2Encoder(read_config(path), do_normalize=False, **conf)
    encoder.load_pretrained(path)
    return encoder.eval()


def of_fairseq(model, speech, lengths=None):
    padding = None if lengths is None else torch.arange(speech.shape[1]) >= lengths[:, None]
    with torch.no_grad():
        return model(speech, padding, mask=False, features_only=True)["x"]


def encoded(encoder, speech, lengths):
    with torch.no_grad():
        return encoder(speech, lengths)[:2]


@pytest.mark.parametrize("num_samples", [400, 1600, 8000, 8001])
def test_it_computes_what_fairseq_computes(pair, num_samples):
    theirs, ours = pair
    speech = torch.randn(2, num_samples)
    out, lengths = encoded(ours, speech, torch.tensor([num_samples] * 2))
    expected = of_fairseq(theirs, speech)
    assert out.shape == expected.shape and lengths.tolist() == [out.shape[1]] * 2
    assert (out - expected).abs().max() < TOLERANCE


def test_a_padded_batch_is_what_fairseq_computes(pair):
    """Of a batch with layer norms; for a group norm fairseq takes the padding's frames in, and so
    ours equals what fairseq computes for each utterance alone."""
    theirs, ours = pair
    lengths = torch.tensor([8000, 5200, 2001])
    speech = torch.randn(3, 8000) * (torch.arange(8000) < lengths[:, None])
    out, out_lengths = encoded(ours, speech, lengths)
    batch = of_fairseq(theirs, speech, lengths)
    for index, (samples, frames) in enumerate(zip(lengths, out_lengths, strict=True)):
        alone = of_fairseq(theirs, speech[index : index + 1, :samples])[0]
        assert len(alone) == frames
        assert (out[index, :frames] - alone).abs().max() < TOLERANCE
        if theirs.cfg.extractor_mode == "layer_norm":
            assert (out[index, :frames] - batch[index, :frames]).abs().max() < TOLERANCE


def test_hubert_is_read_too(tmp_path):
    import_fairseq()
    from fairseq.models.hubert.hubert import HubertConfig, HubertModel
    from fairseq.tasks.hubert_pretraining import HubertPretrainingConfig

    torch.manual_seed(1)
    like = dataclasses.asdict(tiny_settings())
    names = {field.name for field in dataclasses.fields(HubertConfig)}
    settings = HubertConfig(**{k: v for k, v in like.items() if k in names and k != "_name"})
    settings.label_rate = 50
    theirs = randomised(HubertModel(settings, HubertPretrainingConfig(sample_rate=16000), [None]))
    theirs.feature_grad_mult = 1.0
    state = {"cfg": {"model": vars(settings) | {"_name": "hubert"}, "task": {"normalize": False}},
             "model": theirs.state_dict()}  # fmt: skip
    torch.save(state, tmp_path / "hubert.pt")
    speech = torch.randn(1, 4000)
    with torch.no_grad():
        expected = theirs(speech, mask=False, features_only=True)["x"]
    ours = ours_of(tmp_path / "hubert.pt")
    assert ours.net.config.model_type == "hubert"
    out, _ = encoded(ours, speech, torch.tensor([4000]))
    assert (out - expected).abs().max() < TOLERANCE


def test_a_model_trained_for_asr_gives_the_logits_of_fairseq(tmp_path):
    """With the head that ``read_fairseq`` gives beside the network."""
    fairseq = import_fairseq()
    from fairseq.data import Dictionary
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Model
    from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig, Wav2VecCtc
    from omegaconf import OmegaConf

    torch.manual_seed(2)
    settings = tiny_settings(**NORMED)
    write(tmp_path / "before.pt", Wav2Vec2Model.build_model(settings), settings, normalize=True)
    letters = Dictionary()
    for letter in "|ab":
        letters.add_symbol(letter)

    class Task:
        target_dictionary = letters

    conf = OmegaConf.structured(
        Wav2Vec2CtcConfig(w2v_path=str(tmp_path / "before.pt"), normalize=True, data="",
                          ddp_backend="none", layerdrop=0.2)
    )  # fmt: skip
    theirs = randomised(Wav2VecCtc.build_model(conf, Task()))
    model = OmegaConf.to_container(conf, enum_to_str=True) | {"_name": "wav2vec_ctc"}
    cfg = {"model": model, "task": {"_name": "audio_finetuning", "normalize": True}}
    state = {"cfg": cfg, "model": theirs.state_dict(), "task_state": {"target_dictionary": letters}}
    torch.save(state, tmp_path / "ctc.pt")
    found = read_fairseq(tmp_path / "ctc.pt")
    assert found.symbols == ["<s>", "<pad>", "</s>", "<unk>", "|", "a", "b"] and found.normalize
    assert found.config["layerdrop"] == 0.2 and not found.account.unexpected
    speech = torch.randn(1, 8000)
    out, _ = encoded(ours_of(tmp_path / "ctc.pt"), speech, torch.tensor([8000]))
    logits = torch.nn.functional.linear(out, found.head["weight"], found.head["bias"])
    with torch.no_grad():
        padding = torch.zeros(1, 8000, dtype=torch.bool)
        expected = theirs(source=speech, padding_mask=padding)["encoder_out"]
    assert fairseq and (logits[0] - expected[:, 0]).abs().max() < TOLERANCE


def test_the_frame_counter_knows_its_frames(pair):
    _, ours = pair
    config = {"frontend": "none", "encoder": "fairseq_wav2vec2"}
    config["encoder_conf"] = {"model_config": ours.net.config.to_dict()}
    counter = frame_counter(config)
    assert counter.exact and counter.frame_shift == 0.02
    for samples in (400, 719, 720, 8000):
        lengths = encoded(ours, torch.randn(1, samples), torch.tensor([samples]))[1]
        assert counter.num_frames(samples) == lengths.item()


def test_ssl_checkpoint_gives_the_settings_that_rebuild_the_network(make_tiny_ssl, tmp_path):
    tiny = make_tiny_ssl(variant="base")
    config = {"frontend": None, "encoder": "fairseq_wav2vec2", "ssl_checkpoint": str(tiny.fairseq)}
    conf = use_checkpoint(config, tmp_path)["encoder_conf"]
    assert conf.pop("do_normalize") is False  # the base models were trained on speech as it is
    first, again = FairseqWav2Vec2Encoder(**conf), FairseqWav2Vec2Encoder(**conf)
    first.load_pretrained(tiny.fairseq)
    again.load_state_dict(first.state_dict())


def test_training_begins_with_the_file_s_weights_and_the_experiment_does_without_it(
    task, dump, make_tiny_ssl, tmp_path, one_thread
):
    """A file that pickles a namespace, as old ones do; one update moves all but the CNN."""
    tiny = make_tiny_ssl(layers=1)
    path = tmp_path / "old.pt"
    torch.save(torch.load(tiny.fairseq) | {"args": argparse.Namespace(arch="wav2vec2")}, path)
    config = write_config(
        tmp_path / "train.yaml", model="dro", frontend="none", frontend_conf={}, normalize="none",
        encoder="fairseq_wav2vec2", encoder_conf={"mask_time_prob": 0.0}, freeze_cnn=True,
        ssl_checkpoint=str(path), num_iters_per_epoch=1, optim_conf={"lr": 0.001},
    )  # fmt: skip
    exp = tmp_path / "exp"
    task.main(cmd=arguments(dump, exp, config))
    before, after = read_fairseq(path).weights, torch.load(exp / "1epoch.pth", weights_only=True)
    path.unlink()
    del before["masked_spec_embed"]  # which a network that masks nothing has not
    for name, value in before.items():
        moved = (after[f"encoder.net.model.{name}"] - value).abs().max()
        assert moved < 0.01, name  # from where the file left it, not from anywhere
        assert (moved == 0) == name.startswith("feature_extractor."), name
    model, args = task.build_model_from_file(exp / "config.yaml", exp / "1epoch.pth", "cpu")
    assert args.ssl_checkpoint is None and args.encoder_conf["do_normalize"] is True
    assert torch.equal(model.state_dict()["encoder.net.model.encoder.layer_norm.weight"],
                       after["encoder.net.model.encoder.layer_norm.weight"])  # fmt: skip


WITHOUT_FAIRSEQ = (
    FORBID
    + """
import torch
from asr_dro_plugin.espnet.parts.hf_wav2vec2 import FairseqWav2Vec2Encoder
from asr_dro_plugin.pretrained.fairseq_files import read_config

encoder = FairseqWav2Vec2Encoder(read_config(sys.argv[1]), do_normalize=False).eval()
encoder.load_pretrained(sys.argv[1])
with torch.no_grad():
    out = encoder(torch.ones(1, 1600), torch.tensor([1600]))[0]
assert not {"fairseq", "hydra", "omegaconf"} & set(sys.modules)
print(out.double().sum().item())
"""
)


def test_it_loads_and_runs_where_fairseq_hydra_and_omegaconf_cannot_be_imported(tiny_ssl):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FAIRSEQ, str(tiny_ssl.fairseq)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out, _ = encoded(ours_of(tiny_ssl.fairseq), torch.ones(1, 1600), torch.tensor([1600]))
    assert float(done.stdout) == pytest.approx(out.double().sum().item(), abs=1e-4)
