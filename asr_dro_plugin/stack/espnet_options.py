"""Options of ESPnet 202611's ASR training and decoding, and ours, with the kind of each.

A kind is ``int``, ``float``, ``bool``, ``str``, ``list``, ``dict`` or ``size`` (a number or text
such as 2GB); a question mark says that the option may be empty.  A test holds the tables against
ESPnet's parsers.
"""


def _by_name(table: dict[str, str]) -> dict[str, str]:
    """``{"int": "a b"}`` -> ``{"a": "int", "b": "int"}``."""
    return {name: kind for kind, names in table.items() for name in names.split()}


ESPNET_TRAIN_KEYS = _by_name(
    {
        "str?": """
            config valid_iterator_type output_dir dist_master_addr dist_launcher deepspeed_config
            ddp_comm_hook wandb_project wandb_id wandb_entity wandb_name pretrain_path
            valid_batch_type scheduler token_list init bpemodel non_linguistic_symbols cleaner g2p
            rir_scp noise_scp frontend specaug normalize preencoder postencoder decoder""",
        "str": """
            log_level iterator_type dist_backend dist_init_method train_dtype adapter save_strategy
            batch_type sort_in_batch sort_batch optim token_type noise_db_range model encoder
            preprocessor""",
        "bool": """
            drop_last_iter dry_run multiprocessing_distributed unused_parameters sharded_ddp
            use_deepspeed gradient_as_bucket_view cudnn_enabled cudnn_benchmark cudnn_deterministic
            use_tf32 collect_stats write_collected_feats grad_noise no_forward_run resume use_amp
            use_matplotlib use_tensorboard create_graph_in_tensorboard use_wandb
            wandb_allow_val_change detect_anomaly use_adapter ignore_init_mismatch
            shuffle_within_batch multiple_iterator chunk_discard_short_samples multi_task_dataset
            allow_variable_data_keys allow_multi_rates exclude_weight_decay use_preprocessor
            use_lang_prompt use_nlp_prompt""",
        "int": """
            ngpu seed num_workers num_att_plot max_epoch nbest_averaging_interval accum_grad
            wandb_model_log_interval batch_size batch_bins category_sample_size min_batch_size
            num_cache_chunks max_cache_fd""",
        "int?": """
            dist_world_size dist_rank local_rank dist_master_port patience log_interval
            num_iters_per_epoch valid_batch_size valid_batch_bins max_batch_size chunk_default_fs
            chunk_max_abs_length input_size""",
        "float": """
            grad_clip grad_clip_type upsampling_factor category_upsampling_factor
            dataset_upsampling_factor dataset_scaling_factor chunk_shift_ratio rir_apply_prob
            noise_apply_prob short_noise_thres""",
        "float?": "speech_volume_normalize",
        "list": """
            val_scheduler_criterion early_stopping_criterion best_model_criterion keep_nbest_models
            init_param freeze_param train_shape_file valid_shape_file fold_length
            chunk_excluded_key_prefixes train_data_path_and_name_and_type
            valid_data_path_and_name_and_type aux_ctc_tasks""",
        "dict": """
            adapter_conf exclude_weight_decay_conf optim_conf scheduler_conf ctc_conf frontend_conf
            specaug_conf normalize_conf model_conf preencoder_conf encoder_conf postencoder_conf
            decoder_conf preprocessor_conf""",
        "dict?": "joint_net_conf",
        "size": "chunk_length max_cache_size",
        "size?": "valid_max_cache_size",
    }
)

# ESPnet's defaults of what decides on model files.
DEFAULT_CRITERIA = tuple(
    (phase, key, mode)
    for key, mode in (("loss", "min"), ("acc", "max"))
    for phase in ("train", "valid")
)
DEFAULT_KEEP = 10
DEFAULT_MAX_EPOCH = 40

OUR_TRAIN_KEYS = _by_name(
    {
        "str?": "ssl_checkpoint groups init_exp objective sampler",
        "dict": "objective_conf sampler_conf tracker_conf",
        "list": "trackers",
        "bool": "extend_groups freeze_cnn probe_memory override",
        "int": """
            freeze_finetune_updates save_interval_steps keep_checkpoints max_skipped_steps
            sanity_batches augmentation_examples augmentation_interval""",
        "float?": "feature_grad_mult",
    }
)

TRACKERS = ("tensorboard", "wandb", "comet", "mlflow")

TOP_LEVEL_KEYS = {**ESPNET_TRAIN_KEYS, **OUR_TRAIN_KEYS}

_ITERATORS = ("sequence", "category", "chunk", "task", "none")
_DTYPES = ("float16", "float32", "float64")
_BATCH_TYPES = (
    "unsorted", "sorted", "folded", "length", "numel", "catbel", "catpow", "catpow_balance_dataset",
)  # fmt: skip
_G2P = """
    g2p_en g2p_en_no_space pyopenjtalk pyopenjtalk_kana pyopenjtalk_accent
    pyopenjtalk_accent_with_pause pyopenjtalk_prosody pypinyin_g2p pypinyin_g2p_phone
    pypinyin_g2p_phone_without_prosody espeak_ng_arabic espeak_ng_german espeak_ng_french
    espeak_ng_spanish espeak_ng_russian espeak_ng_greek espeak_ng_finnish espeak_ng_hungarian
    espeak_ng_dutch espeak_ng_english_us_vits espeak_ng_hindi espeak_ng_italian espeak_ng_ukrainian
    espeak_ng_polish g2pk g2pk_no_space g2pk_explicit_space korean_jaso korean_jaso_no_space
    g2p_is"""

# Legal values of the options that are no component (those are in ``stack.names``).
TRAIN_CHOICES: dict[str, tuple[str, ...]] = {
    "trackers": TRACKERS,
    "log_level": ("ERROR", "WARNING", "INFO", "DEBUG", "NOTSET"),
    "iterator_type": _ITERATORS,
    "valid_iterator_type": _ITERATORS,
    "dist_launcher": ("slurm", "mpi"),
    "ddp_comm_hook": ("none", "fp16_compress_hook", "bf16_compress_hook"),
    "train_dtype": _DTYPES,
    "adapter": ("lora", "houlsby"),
    "save_strategy": ("all", "adapter_only", "required_grad_only"),
    "batch_type": _BATCH_TYPES,
    "valid_batch_type": _BATCH_TYPES,
    "sort_in_batch": ("descending", "ascending"),
    "sort_batch": ("descending", "ascending"),
    "init": ("xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "normal"),
    "token_type": (
        "bpe", "char", "word", "phn", "hugging_face", "whisper_en", "whisper_multilingual",
    ),
    "cleaner": ("tacotron", "jaconv", "vietnamese", "whisper_en", "whisper_basic"),
    "g2p": tuple(_G2P.split()),
}  # fmt: skip

ESPNET_INFERENCE_KEYS = _by_name(
    {
        "str?": """
            config output_dir key_file asr_train_config asr_model_file lm_train_config lm_file
            word_lm_train_config word_lm_file ngram_file model_tag transducer_conf token_type
            bpemodel lang_prompt_token nlp_prompt_token prompt_token_file""",
        "str": "log_level dtype quantize_dtype",
        "int": """
            ngpu seed num_workers batch_size nbest beam_size ctc_window_margin max_seq_len
            max_mask_parallel""",
        "list": "data_path_and_name_and_type quantize_modules",
        "bool": """
            allow_variable_data_keys enh_s2t_task multi_asr quantize_asr_model quantize_lm
            streaming hugging_face_decoder time_sync normalize_length partial_ar""",
        "float": """
            penalty maxlenratio minlenratio ctc_weight lm_weight ngram_weight
            threshold_probability""",
        "dict": "hugging_face_decoder_conf",
    }
)

OUR_INFERENCE_KEYS = _by_name({"str": "mode", "float": "batch_duration"})

INFERENCE_KEYS = {**ESPNET_INFERENCE_KEYS, **OUR_INFERENCE_KEYS}

INFERENCE_CHOICES: dict[str, tuple[str, ...]] = {
    "mode": ("greedy", "espnet"),
    "log_level": ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET"),
    "dtype": _DTYPES,
    "quantize_dtype": ("float16", "qint8"),
    "token_type": ("char", "bpe"),
}
