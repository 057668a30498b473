"""What the recipe's folders and files are called, from its options and its two configurations.

asr.sh gives all of its options as text and takes every name from here, so that a name has one home.
"""

import json
import os
import re
from collections.abc import Mapping

from asr_dro_plugin.experiment.model_files import default_model_file
from asr_dro_plugin.stack.names import component_of
from asr_dro_plugin.text.auxiliary import TOKENS

# Options that name a file or folder: one relative to where the user stands is taken too.
PATHS = ("data_source", "text_norm", "asr_config", "inference_config", "token_list",
         "ssl_checkpoint", "init_exp", "lm_dir", "bpe_train_text")  # fmt: skip
LONGEST_TAG = 40  # characters; a longer one becomes its checksum
Options = Mapping[str, str]


def found_paths(options: Options, caller_dir: str) -> dict[str, str]:
    """Options that name a path, those that only exist below ``caller_dir`` joined to it."""
    given = {key: options[key] for key in PATHS}
    return {
        key: os.path.join(caller_dir, path)
        if path and not os.path.exists(path) and os.path.exists(os.path.join(caller_dir, path))
        else path
        for key, path in given.items()
    }


def names_of(options: Options, config: Mapping, decoding: Mapping) -> dict[str, str]:
    """Every name that follows, also of the options that were given or left empty.

    Args:
        options: all of asr.sh's, ``found_paths`` among them.
        config: the training configuration, with ``--asr_args``.
        decoding: the decoding configuration, with its defaults.
    """
    names = _data_names(options)
    names |= _feature_names(options, config)
    names |= _token_names(options, config, names)
    names |= _experiment_names(options, config, names)
    return names | _decoding_names(options, config, decoding, names)


def _data_names(options: Options) -> dict[str, str]:
    tag = options["data_tag"] or _data_tag(options)
    made = options["train_set"] or f"train_{tag}"
    train = made + ("_sp" if options["speed_perturb_factors"] else "")
    valid = options["valid_set"] or f"dev_{tag}"
    tests = " ".join((options["test_sets"] or f"test_{tag}").split())
    trained = [] if options["skip_train"] == "true" else [train]
    audio = "raw" if options["feats_type"] == "extracted" else options["feats_type"]
    norm_files = options["text_norm"], f"conf/text_norm_{options['text_norm']}.yaml"
    return {
        "data_tag": tag,
        "org_train_set": made,
        "train_set": train,
        "valid_set": valid,
        "test_sets": tests,
        "data_sets": " ".join([*trained, valid, tests]),
        "dump_type": audio,
        "data_feats": f"{options['dumpdir']}/{audio}",
        "audio_type": "kaldi_ark" if audio == "raw" else "sound",
        "norm_file": next(filter(os.path.isfile, norm_files), ""),
        "skip_stages": " ".join([options["skip_stages"], *_left_out(options)]).strip(),
    }


def _feature_names(options: Options, config: Mapping) -> dict[str, str]:
    """What the frontend and its model are, and where its hidden states go, which training reads in
    place of audio; empty where it reads audio, or is left out.  Each frontend has a folder."""
    if options["feats_type"] != "extracted" or options["skip_train"] == "true":
        return dict.fromkeys(("frontend_facts", "features_model", "features_dir"), "")
    keys = ("frontend", "frontend_conf", "ssl_checkpoint")
    facts = json.dumps({key: config.get(key) for key in keys}, sort_keys=True)
    model = str(config.get("ssl_checkpoint") or "")
    name = f"{_stem(model) or config.get('frontend')}_{_cksum(facts.encode())}"
    return {
        "frontend_facts": facts,
        "features_model": model if os.path.exists(model) else "",
        "features_dir": f"{options['dumpdir']}/extracted/{name}",
    }


def _left_out(options: Options) -> list[str]:
    """The stages that ESPnet's three options leave out; stage 4 filters test sets here too."""
    stages = {
        "skip_data_prep": "1 2 3 4 5",
        "skip_train": "2 5 6 7 8 9 10 11",
        "skip_eval": "12 13",
    }
    return [numbers for name, numbers in stages.items() if options[name] == "true"]


def _data_tag(options: Options) -> str:
    """The corpus and what is not default: runs on other data side by side do not meet."""
    norm = _stem(options["text_norm"], ".yaml").removeprefix("text_norm_")
    words = [
        options["langs"],
        "" if options["lid"] == "true" else "nolid",
        "" if options["text_norm"] == "lower_no_punct" else norm,
        re.sub(r"--[a-z_-]+", "", options["local_data_opts"]),
    ]
    return options["corpus"] + _joined(" ".join(words))


def _joined(words: str) -> str:
    """``_`` and the words as a part of a name; nothing of nothing, a number of what is long."""
    tag = re.sub(r"[^A-Za-z0-9.]+", "_", words).strip("_")
    if len(tag) > LONGEST_TAG:
        tag = str(_cksum(f"{tag}\n".encode()))
    return f"_{tag}" if tag else ""


def _cksum(data: bytes) -> int:
    """The number that POSIX's ``cksum`` prints: folders of long tags have been named by it."""
    length = len(data).to_bytes((len(data).bit_length() + 7) // 8, "little")
    crc = 0
    for byte in data + length:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x104C11DB7 if crc & 0x80000000 else 0)
    return crc ^ 0xFFFFFFFF


def _token_names(options: Options, config: Mapping, names: Options) -> dict[str, str]:
    kind = options["token_type"] or usual_token_type(config)
    whose = options["ssl_checkpoint"] or str(config.get("ssl_checkpoint") or "")
    name = {"bpe": f"bpe{options['nbpe']}", "hugging_face": _stem(whose)}.get(kind, kind)
    continued = options["init_exp"] and "_from_" + _stem(options["init_exp"]).removeprefix("asr_")
    folder = f"data/{names['train_set']}_token_list/{name}{continued}"
    if options["token_list"]:  # nlsyms.txt and bpe.model lie beside it
        folder = os.path.dirname(options["token_list"]) or "."
    nlsyms = f"{folder}/nlsyms.txt"
    model = {"bpe": "bpe.model", "hugging_face": "tokenizer.json"}.get(kind)
    return {
        "token_type": kind,
        "token_name": name,
        "token_source": whose if kind == "hugging_face" else "",
        "continued": continued,
        "token_dir": folder,
        "tokens": options["token_list"] or f"{folder}/tokens.txt",
        "nlsyms": "" if options["token_list"] and not os.path.exists(nlsyms) else nlsyms,
        "bpemodel": f"{folder}/{model}" if model else "",
        **_auxiliary_names(options, names),
    }


def _auxiliary_names(options: Options, names: Options) -> dict[str, str]:
    """A folder of their own: in the sets' folders, which are inputs of stage 10, new files would
    begin every other experiment anew."""
    kind = options["aux_text"]
    folder = f"data/{names['train_set']}_token_list/{kind}" if kind else ""
    return {"aux_dir": folder, "aux_tokens": f"{folder}/{TOKENS}" if kind else ""}


def usual_token_type(config: Mapping) -> str:
    """The configuration's, else what the model brings: Whisper has tokens of its own."""
    own = component_of(config, "decoder") == "hf_whisper"
    return str(config.get("token_type") or ("hugging_face" if own else "char"))


def _experiment_names(options: Options, config: Mapping, names: Options) -> dict[str, str]:
    tag = options["asr_tag"] or "_".join(
        [_stem(options["asr_config"], ".yaml"), options["feats_type"], names["data_tag"],
         names["token_name"] + ("_sp" if options["speed_perturb_factors"] else "")]
        + ([options["aux_text"]] if options["aux_text"] else [])
    ) + names["continued"] + _changes(options)  # fmt: skip
    exp = options["asr_exp"] or f"{options['expdir']}/asr_{tag}"
    name = _stem(exp)
    stats = options["asr_stats_dir"] or f"{options['expdir']}/asr_stats_{name.removeprefix('asr_')}"
    given = (config.get("normalize_conf") or {}).get("stats_file")
    normalize = "given" if given else component_of(config, "normalize") or "none"
    here = os.environ.get("PWD") or os.getcwd()  # an absolute path: the model is used elsewhere too
    stats_file = os.path.join(here, stats, "train/feats_stats.npz")
    groups = os.path.join(options["init_exp"], "groups.txt")  # an imported model has none
    return {
        "asr_tag": tag,
        "asr_exp": exp,
        "exp_name": name,
        "asr_stats_dir": stats,
        "normalize": normalize,
        "stats_file": stats_file if normalize == "global_mvn" else "",
        "init_groups": groups if options["init_exp"] and os.path.exists(groups) else "",
        "ssl_files": options["ssl_checkpoint"] if os.path.exists(options["ssl_checkpoint"]) else "",
    }


def _changes(options: Options) -> str:
    """``--ssl_checkpoint`` and, as in ESPnet, ``--asr_args`` in the experiment's name."""
    changed = re.sub(r"--|[ =|]", lambda found: "_" * (found[0] == "--"), options["asr_args"])
    return _joined(_stem(options["ssl_checkpoint"])) + _joined(changed)


def _decoding_names(
    options: Options, config: Mapping, decoding: Mapping, names: Options
) -> dict[str, str]:
    model = options["inference_asr_model"] or default_model_file(config)
    tuned = "_tuned" if options["tune_lm"] == "true" else ""
    tag = f"{_stem(options['inference_config'], '.yaml')}{tuned}_{_stem(model, '.pth')}"
    tag = options["inference_tag"] or tag
    wanted = str(decoding["mode"] == "lm").lower()
    unit = str(decoding.get("lm_unit", "word"))
    order = options["lm_order"] or {"char": "6"}.get(unit, "3")
    lm_dir = f"{options['expdir']}/lm_{names['org_train_set']}_{unit}_{order}gram"
    gpu = options["gpu_inference"] or str(int(options["ngpu"]) > 0).lower()
    return {
        "inference_asr_model": model,
        "inference_tag": tag,
        "decode_dir": f"{names['asr_exp']}/{tag}",
        "inference_nj": options["inference_nj"] or options["nj"],
        "inference_ngpu": str(int(gpu == "true")),
        "lm_wanted": wanted,
        "use_lm": options["use_lm"] or wanted,
        "lm_unit": unit,
        "lm_order": order,
        "lm_given": options["lm_dir"],
        "lm_dir": options["lm_dir"] or lm_dir,
    }


def decode_config_name(options: Options) -> str:
    """Where a decoding configuration that ``--inference_args`` changes is kept."""
    changed = re.sub(r"[^A-Za-z0-9.]+", "_", options["inference_args"].replace("--", ""))
    stem = _stem(options["inference_config"], ".yaml")
    return f"{options['expdir']}/{stem}_{changed.strip('_')}.yaml"


def _stem(path: str, suffix: str = "") -> str:
    """The shell's ``basename PATH SUFFIX``."""
    return os.path.basename(path.rstrip("/")).removesuffix(suffix)
