"""The recipe's lists of words: what training and stage 10 are given, from options and names.

The words and their order stand in the marks of the stages: a change makes stages run again.
"""

import os

from asr_dro_plugin.data.feature_store import ARK_TYPE, FEATS, RECORD
from asr_dro_plugin.experiment.recipe_names import Options
from asr_dro_plugin.stack.overrides import split_words
from asr_dro_plugin.text.auxiliary import INPUT


def lists_of(options: Options) -> dict[str, list[str]]:
    """Every list that asr.sh needs, by its name there.

    Args:
        options: all of asr.sh's with the names that follow (``recipe_names.names_of``).

    Raises:
        UserError: an unmatched quote in ``--local_data_opts`` or ``--asr_args``.
    """
    tests = [f"{options['data_feats']}/{name}" for name in options["test_sets"].split()]
    files = [options[name] for name in ("tokens", "nlsyms", "bpemodel") if options[name]]
    aux_texts = [
        f"{options['aux_dir']}/{options[name]}/{INPUT}"
        for name in ("train_set", "valid_set")
        if options["aux_dir"]
    ]
    files += [options["aux_tokens"], *aux_texts] if aux_texts else []
    return {
        "local_data_words": split_words(options["local_data_opts"]),
        "asr_arg_words": split_words(options["asr_args"]),
        "corpus_sets": [f"data/{part}_{options['data_tag']}" for part in ("train", "dev", "test")],
        "test_dirs": tests,
        "token_files": files,
        "feature_records": [f"{folder}/{RECORD}" for folder in _feature_folders(options)],
        "extract_args": _extract_args(options),
        "stats_args": _stats_args(options),
        "data_args": _data_args(options),
        "ssl_args": _given(ssl_checkpoint=options["ssl_checkpoint"]),
        "init_args": _continued(options, "init_exp"),
        "lm_args": _given(lm_dir=options["lm_dir"]) if options["lm_wanted"] == "true" else [],
    }


def _given(**options: str) -> list[str]:
    """``--name value`` of those that are not empty."""
    return [word for name, value in options.items() if value for word in (f"--{name}", value)]


def _continued(options: Options, name: str) -> list[str]:
    """The option ``name`` of a model that is continued, and whether it may be extended."""
    if not options[name]:
        return []
    return _given(**{name: options[name], "extend_groups": options["extend_groups"]})


def _feature_folders(options: Options) -> list[str]:
    """Those of the training and the validation set; none where training reads audio."""
    place = options["features_dir"]
    return [f"{place}/{options[part]}" for part in ("train_set", "valid_set")] if place else []


def _extract_args(options: Options) -> list[str]:
    """What the extraction of features is told: frontend, sets, and where they go."""
    sets = [f"{options['data_feats']}/{options[part]}" for part in ("train_set", "valid_set")]
    return [
        *_given(config=options["asr_config"]), f"--asr_args={options['asr_args']}",
        *_given(
            ssl_checkpoint=options["ssl_checkpoint"], out_dir=options["features_dir"],
            speeds=options["speed_perturb_factors"],
        ),
        "--data_dirs", *sets,
    ]  # fmt: skip


def _stats_args(options: Options) -> list[str]:
    """What asr-dro preflight is told: sets, tokens and stack."""
    feats, checkpoint = options["data_feats"], options["ssl_checkpoint"]
    sets = {f"{part}_dir": f"{feats}/{options[f'{part}_set']}" for part in ("train", "valid")}
    tokens = {"tokens": options["tokens"], "token_type": options["token_type"]}
    return [
        *_given(**sets, **tokens, config=options["asr_config"]),
        f"--asr_args={options['asr_args']}",
        *_given(
            out_dir=options["asr_stats_dir"], max_drop=options["max_drop"],
            nlsyms=options["nlsyms"], bpemodel=options["bpemodel"], aux_dir=options["aux_dir"],
            override=f"ssl_checkpoint={checkpoint}" if checkpoint else "",
        ),
        *_continued(options, "init_groups"),
        *_given(features_dir=options["features_dir"]),
    ]  # fmt: skip


def _data_args(options: Options) -> list[str]:
    """Tokens, groups, audio, texts and their lengths, as ESPnet's training takes them."""
    stats = options["asr_stats_dir"]
    words = _given(
        token_list=options["tokens"], token_type=options["token_type"],
        non_linguistic_symbols=options["nlsyms"], bpemodel=options["bpemodel"],
        groups=f"{stats}/groups.txt", aux_token_list=options["aux_tokens"],
    )  # fmt: skip
    for part in ("train", "valid"):
        folder = f"{options['data_feats']}/{options[f'{part}_set']}"
        for value in (
            *_speech(options, folder),
            f"{folder}/text,text,text",
            f"{stats}/{part}/utt2group,group_ids,text_int",
        ):
            words += [f"--{part}_data_path_and_name_and_type", value]
        if options["aux_dir"]:
            value = f"{stats}/{part}/{INPUT},{INPUT},text_int"
            words += [f"--{part}_data_path_and_name_and_type", value]
        for name in ("speech_shape", f"text_shape.{options['token_type']}"):
            words += [f"--{part}_shape_file", f"{stats}/{part}/{name}"]
    return words


def _speech(options: Options, folder: str) -> list[str]:
    """Audio, or features and the samples that they were made of."""
    if not options["features_dir"]:
        return [f"{folder}/wav.scp,speech,{options['audio_type']}"]
    features = f"{options['features_dir']}/{os.path.basename(folder)}/{FEATS}"
    return [f"{features},speech,{ARK_TYPE}", f"{folder}/utt2num_samples,num_samples,text_int"]
