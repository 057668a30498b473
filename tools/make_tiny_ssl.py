#!/usr/bin/env python3
"""Write a tiny random wav2vec 2.0 in three layouts, the same weights in each.

    tools/make_tiny_ssl.py OUT_DIR [--variant stable] [--hidden 16] [--layers 2] ...

    OUT_DIR/hf/              Hugging Face folder (config, feature extractor, safetensors)
    OUT_DIR/s3prl.pt         s3prl's own layout (task_cfg, model_cfg, model_weight)
    OUT_DIR/fairseq.pt       fairseq's layout, keys as in xlsr2_300m.pt, plain containers only

The convolutions keep the real kernels and strides (320 samples a frame, 25 ms seen by each), so
lengths are those of the real models.  Variants: ``stable`` is XLS-R's and MMS's layout (layer norm
in every convolution, layer norm first in the transformer, inputs normalised); ``base`` is the
original base model's (one group norm, layer norm last, inputs as they are).
Needs torch and transformers; neither s3prl nor fairseq.
"""

import argparse
import sys
from pathlib import Path

KERNELS = (10, 3, 3, 3, 3, 2, 2)
STRIDES = (5, 2, 2, 2, 2, 2, 2)
# The task keys that stopped the original project: newer than fairseq 0.12.2's dataclass.
UNKNOWN_TASK_KEYS = {
    "multiple_train_files": False,
    "eval_wer": False,
    "eval_wer_config": {"beam": 5, "print_alignment": False},
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant", choices=("stable", "base"), default="stable")
    parser.add_argument("--hidden", type=int, default=16, help="size of the transformer")
    parser.add_argument("--layers", type=int, default=2, help="number of transformer layers")
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--ffn", type=int, default=32, help="inner size of the feed-forward parts")
    parser.add_argument("--conv_dim", type=int, default=8, help="channels of the convolutions")
    parser.add_argument(
        "--conv_pos", type=int, default=16, help="kernel of the position convolution"
    )
    parser.add_argument("--conv_pos_groups", type=int, default=4)
    parser.add_argument("--layerdrop", type=float, default=0.0)
    parser.add_argument("--mask_prob", type=float, default=0.65, help="masking while training")
    args = parser.parse_args(argv)
    if args.conv_dim == args.hidden:
        parser.error("--conv_dim must differ from --hidden: fairseq leaves out the projection then")
    return args


def hf_config(args: argparse.Namespace):
    """The Hugging Face configuration of the tiny model."""
    from transformers import Wav2Vec2Config

    stable = args.variant == "stable"
    return Wav2Vec2Config(
        hidden_size=args.hidden,
        num_hidden_layers=args.layers,
        num_attention_heads=args.heads,
        intermediate_size=args.ffn,
        conv_dim=[args.conv_dim] * len(KERNELS),
        conv_kernel=list(KERNELS),
        conv_stride=list(STRIDES),
        conv_bias=stable,
        feat_extract_norm="layer" if stable else "group",
        do_stable_layer_norm=stable,
        num_conv_pos_embeddings=args.conv_pos,
        num_conv_pos_embedding_groups=args.conv_pos_groups,
        layerdrop=args.layerdrop,
        mask_time_prob=args.mask_prob / 10,  # of starts; fairseq counts masked frames
        codevector_dim=8,
        proj_codevector_dim=8,
        num_codevectors_per_group=4,
    )


def fill_randomly(model, seed: int) -> None:
    """Set every parameter from ``seed``; biases and norms too, so that a swapped one shows."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() > 1 and "original0" not in name:
            value = noise / parameter[0].numel() ** 0.5
        else:  # weight-norm's lengths and the norms' weights lie about one
            value = 0.1 * noise + (0.0 if name.endswith("bias") else 1.0)
        parameter.data.copy_(value)


def fairseq_name(name: str, stable: bool) -> str:
    """fairseq's (and s3prl's) name of the Hugging Face parameter ``name``."""
    if name.startswith("feature_extractor.conv_layers."):
        norm = ".2.1." if stable else ".2."
        return name.replace(".conv.", ".0.").replace(".layer_norm.", norm)
    for old, new in (
        ("feature_projection.layer_norm", "layer_norm"),
        ("feature_projection.projection", "post_extract_proj"),
        (
            "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
            "encoder.pos_conv.0.weight_g",
        ),
        (
            "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
            "encoder.pos_conv.0.weight_v",
        ),
        ("encoder.pos_conv_embed.conv", "encoder.pos_conv.0"),
        ("masked_spec_embed", "mask_emb"),
        (".attention.", ".self_attn."),
        (".feed_forward.intermediate_dense.", ".fc1."),
        (".feed_forward.output_dense.", ".fc2."),
    ):
        name = name.replace(old, new)
    if ".layers." in name:
        name = name.replace(".layer_norm.", ".self_attn_layer_norm.")
    return name


def fairseq_weights(model, args: argparse.Namespace) -> dict:
    """The parameters of ``model`` under fairseq's names, with the pretraining heads it expects."""
    import torch

    weights = {
        fairseq_name(name, args.variant == "stable"): value.clone()
        for name, value in model.state_dict().items()
    }
    generator = torch.Generator().manual_seed(args.seed + 1)
    for name, shape in {
        "quantizer.vars": (1, 8, 4),
        "quantizer.weight_proj.weight": (8, args.conv_dim),
        "quantizer.weight_proj.bias": (8,),
        "project_q.weight": (8, 8),
        "project_q.bias": (8,),
        "final_proj.weight": (8, args.hidden),
        "final_proj.bias": (8,),
    }.items():
        weights[name] = torch.randn(shape, generator=generator)
    return weights


def fairseq_model_section(args: argparse.Namespace) -> dict:
    """``cfg.model`` as fairseq writes it; what is not named has the same default everywhere."""
    stable = args.variant == "stable"
    layers = [(args.conv_dim, kernel, stride) for kernel, stride in zip(KERNELS, STRIDES)]
    return {
        "_name": "wav2vec2",
        "extractor_mode": "layer_norm" if stable else "default",
        "encoder_layers": args.layers,
        "encoder_embed_dim": args.hidden,
        "encoder_ffn_embed_dim": args.ffn,
        "encoder_attention_heads": args.heads,
        "encoder_layerdrop": args.layerdrop,
        "layer_norm_first": stable,
        "conv_feature_layers": str(layers),
        "conv_bias": stable,
        "conv_pos": args.conv_pos,
        "conv_pos_groups": args.conv_pos_groups,
        "mask_prob": args.mask_prob,
        "quantize_targets": True,
        "final_dim": 8,
        "latent_vars": 4,
        "latent_groups": 2,
        "latent_temp": [2.0, 0.1, 0.999995],
        "feature_grad_mult": 1.0,
    }


def fairseq_task_section(args: argparse.Namespace) -> dict:
    """``cfg.task``: audio pretraining, with keys that older fairseq releases do not know."""
    return {
        "_name": "audio_pretraining",
        "data": "/nowhere/manifest",
        "sample_rate": 16000,
        "normalize": args.variant == "stable",
        "enable_padding": False,
        "max_sample_size": 320000,
        "min_sample_size": 32000,
        **UNKNOWN_TASK_KEYS,
    }


def write_hf(model, args: argparse.Namespace, folder: Path) -> None:
    from transformers import Wav2Vec2FeatureExtractor

    model.save_pretrained(folder)
    stable = args.variant == "stable"
    Wav2Vec2FeatureExtractor(do_normalize=stable, return_attention_mask=stable).save_pretrained(
        folder
    )


def write_s3prl(weights: dict, args: argparse.Namespace, path: Path) -> None:
    import torch

    sections = {"task_cfg": fairseq_task_section(args), "model_cfg": fairseq_model_section(args)}
    torch.save({**sections, "model_weight": weights}, path)


def write_fairseq(weights: dict, args: argparse.Namespace, path: Path) -> None:
    import torch

    cfg = {
        "_name": None,
        "common": {"_name": None, "seed": 1, "tpu": False, "fp16": True},
        "task": fairseq_task_section(args),
        "model": fairseq_model_section(args),
        "criterion": {"_name": "wav2vec", "infonce": True},
        "optimizer": {"_name": "adam", "lr": [0.0005]},
        "lr_scheduler": {"_name": "polynomial_decay"},
    }
    history = {
        "criterion_name": "Wav2vecCriterion",
        "optimizer_name": "FP16Optimizer",
        "lr_scheduler_state": {"best": None},
        "num_updates": 0,
    }
    state = {
        "args": None,
        "cfg": cfg,
        "model": weights,
        "criterion": None,
        "optimizer_history": [history],
        "task_state": {},
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}},
        "last_optimizer_state": None,
    }
    torch.save(state, path)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from transformers import Wav2Vec2Model

    args.out_dir.mkdir(parents=True, exist_ok=True)
    model = Wav2Vec2Model(hf_config(args)).eval()
    fill_randomly(model, args.seed)
    weights = fairseq_weights(model, args)
    write_hf(model, args, args.out_dir / "hf")
    write_s3prl(weights, args, args.out_dir / "s3prl.pt")
    write_fairseq(weights, args, args.out_dir / "fairseq.pt")
    print(f"{args.out_dir}: hf/, s3prl.pt and fairseq.pt ({args.variant}, {args.hidden} wide)")
    return 0


if __name__ == "__main__":
    import venv_state

    venv_state.enter()
    sys.exit(main())
