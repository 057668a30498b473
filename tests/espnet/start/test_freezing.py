"""What is frozen stays as it is, to the bit; what is not frozen learns, from its update on."""

import argparse

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.freezing import Freezing, apply_freezing, ssl_model

pytest_plugins = ["tests.fixtures_ssl"]

TOKENS = ["<blank>", "<unk>", "a", "b", "<sos/eos>"]
LAYOUTS = ("hf", "s3prl", "fairseq", "own")  # own: hf_wav2vec2, its weights the experiment's own


@pytest.fixture
def build(task, tiny_ssl):
    """Function that builds the model of a layout: weight norm lets nobody copy one."""

    def built(layout):
        slots = {
            "fairseq": {"frontend": None, "encoder": "wav2vec2"},
            "own": {"frontend": None, "encoder": "hf_wav2vec2", "normalize": None,
                    "encoder_conf": {"layers": "weighted"}},
        }  # fmt: skip
        conf = {"multilayer_feature": True}
        featurizer = {"frontend": "s3prl", "encoder": "identity", "frontend_conf": conf}
        slot = slots.get(layout, featurizer)
        args = vars(task.get_parser().parse_args([]))
        config = {"model_conf": {"ctc_weight": 1.0}, "token_list": TOKENS, **slot}
        config["ssl_checkpoint"] = str(getattr(tiny_ssl, layout.replace("own", "hf")))
        return task.build_model(argparse.Namespace(**{**args, **config}))

    return built


class Training:
    """A model in training: updates counted, the freezing told of them as the trainer does."""

    def __init__(self, model, done=0, **config):
        self.model = model
        self.freezing = apply_freezing(self.model, argparse.Namespace(**config))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.5)
        self.done = done

    def loss(self):
        speech = torch.sin(torch.arange(16000) * 0.05).repeat(2, 1) + torch.randn(2, 16000) * 0.1
        text = torch.tensor([[2, 3], [3, 2]])
        return self.model(speech, torch.tensor([16000, 16000]), text, torch.tensor([2, 2]))[0]

    def backward(self):
        self.freezing.at_update(self.done)
        self.optimizer.zero_grad()
        self.model.train()
        self.loss().backward()

    def update(self):
        """Names of the parameters that one update changed."""
        before = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self.backward()
        self.optimizer.step()
        self.done += 1
        changed = {n for n, p in self.model.named_parameters() if not torch.equal(p, before[n])}
        return changed

    def names(self, part):
        """Names of the parameters of the pretrained model, of its CNN, or of all."""
        named = {id(p): name for name, p in self.model.named_parameters()}
        ssl = ssl_model(self.model)
        module = {"ssl": ssl, "cnn": ssl.feature_extractor, "all": self.model}[part]
        return {named[id(p)] for p in module.parameters()}


def learns(changed, names):
    """Whether most of ``names`` are among the changed; some get no gradient by their nature."""
    return len(changed & names) > len(names) / 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_any_of_the_keys_everything_learns(build, layout):
    training = Training(build(layout))
    changed = training.update()
    assert learns(changed, training.names("cnn"))
    assert learns(changed, training.names("ssl") - training.names("cnn"))


@pytest.mark.parametrize("config", [{"freeze_cnn": True}, {"feature_grad_mult": 0.0}])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_frozen_cnn_is_unchanged_and_the_rest_learns(build, layout, config):
    training = Training(build(layout), **config)
    changed = training.update()
    cnn = training.names("cnn")
    assert not changed & cnn
    assert learns(changed, training.names("ssl") - cnn)
    assert "ctc.ctc_lo.weight" in changed


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_frozen_cnn_keeps_no_graph(build, layout):
    training = Training(build(layout), freeze_cnn=True)
    seen = []
    after = ssl_model(training.model)
    after = getattr(after, "feature_projection", None) or after.layer_norm
    after.register_forward_pre_hook(lambda module, args: seen.append(args[0].requires_grad))
    training.model.train()
    training.loss()
    assert seen == [False]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_feature_grad_mult_scales_the_gradient_of_the_cnn_once_and_no_other(build, layout):
    gradients = []
    for config in ({}, {"feature_grad_mult": 0.1}):
        training = Training(build(layout), **config)
        for module in training.model.modules():  # without chance both runs see the same
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        torch.manual_seed(0)
        training.model.eval()
        training.freezing.at_update(0)
        training.loss().backward()
        gradients.append({n: p.grad for n, p in training.model.named_parameters()})
    whole, scaled = gradients
    cnn = training.names("cnn")
    found = [name for name, gradient in whole.items() if gradient is not None]
    assert cnn & set(found)
    for name in found:
        expected = whole[name] * (0.1 if name in cnn else 1.0)
        assert (scaled[name] - expected).norm() <= 1e-3 * expected.norm() + 1e-6, name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_pretrained_model_moves_at_its_update_and_no_earlier(build, layout):
    training = Training(build(layout), freeze_finetune_updates=5)
    ssl = training.names("ssl")
    for _ in range(5):
        changed = training.update()
        assert not changed & ssl
        assert "ctc.ctc_lo.weight" in changed
        training.model.eval()  # a validation between the updates
        for _ in range(3):
            with torch.no_grad():
                training.loss()
    assert learns(training.update(), ssl)


def test_batches_of_an_accumulation_do_not_count(build):
    training = Training(build("fairseq"), freeze_finetune_updates=2)
    for _ in range(10):
        training.backward()
    assert not training.update() & training.names("ssl")


@pytest.mark.parametrize("done", [0, 2, 3, 7])
def test_a_resumed_run_goes_on_where_it_was(build, done):
    straight = Training(build("hf"), freeze_finetune_updates=3)
    for num_done in range(done + 1):
        straight.freezing.at_update(num_done)
    resumed = Training(build("hf"), done=done, freeze_finetune_updates=3)
    resumed.freezing.at_update(done)
    states = [[p.requires_grad for p in t.model.parameters()] for t in (straight, resumed)]
    assert states[0] == states[1]
    assert learns(resumed.update(), resumed.names("ssl")) == (done >= 3)


def test_what_is_frozen_for_good_stays_frozen_when_the_rest_begins(build):
    entry = "frontend.upstream.upstream.model.encoder.layers.[0]"
    training = Training(
        build("hf"), freeze_finetune_updates=1, freeze_cnn=True, freeze_param=[entry]
    )
    training.update()
    changed = training.update()
    assert not changed & training.names("cnn")
    assert not [name for name in changed if "encoder.layers.0." in name]
    assert [name for name in changed if "encoder.layers.1." in name]


def test_espnets_own_key_of_the_encoder_counts_updates_too(build):
    conf = {"encoder": "wav2vec2", "encoder_conf": {"freeze_finetune_updates": 1}}
    training = Training(build("fairseq"), **conf)
    assert not training.update() & training.names("ssl")
    assert learns(training.update(), training.names("ssl"))


def test_espnets_encoder_no_longer_counts_by_itself(build):
    training = Training(build("fairseq"))
    state = training.model.state_dict()
    assert "encoder.num_updates" in state  # ESPnet's own class loads the file
    for _ in range(3):
        training.loss()
    assert training.model.encoder.num_updates.item() == 0


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("encoder.encoders.encoder.layers.0", "encoder.encoders.encoder.layers.0."),
        ("encoder.encoders.encoder.layers.[0-5].*", "encoder.encoders.encoder.layers."),
        ("encoder.*.layers.1", "encoder.encoders.encoder.layers.1."),
        ("ctc", "ctc."),
    ],
)
def test_an_entry_freezes_what_it_means_and_nothing_else(build, entry, meant):
    model = build("fairseq")
    apply_freezing(model, argparse.Namespace(freeze_param=[entry]))
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith(meant)}
    assert frozen


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"freeze_param": ["encoder.encoders.feature_extracter"]},
         r"matches no parameter. Did you mean 'encoder.encoders.feature_extractor'\?"),
        ({"freeze_param": ["ctc", "encoder.*.layers.[7-9]"]}, r"layers.\[7-9\]' matches no"),
    ],
)  # fmt: skip
def test_an_entry_that_means_nothing_is_refused(build, config, words):
    with pytest.raises(UserError, match=words):
        apply_freezing(build("fairseq"), argparse.Namespace(**config))


def test_a_stack_without_a_pretrained_model_is_told_so(task):
    args = {**vars(task.get_parser().parse_args([])), "token_list": TOKENS}
    args |= {"encoder": "conv_ctc", "model_conf": {"ctc_weight": 1.0}}
    model = task.build_model(argparse.Namespace(**args))
    assert apply_freezing(model, argparse.Namespace(freeze_cnn=False)) == Freezing()
    for config in ({"freeze_cnn": True}, {"freeze_finetune_updates": 2}):
        with pytest.raises(UserError, match="neither frontend nor encoder holds one"):
            apply_freezing(model, argparse.Namespace(**config))
