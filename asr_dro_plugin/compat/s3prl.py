"""s3prl: its Hugging Face upstream differs from its own in three ways, put right here.

They matter for ``upstream: hf_wav2vec2_custom`` under transformers 5:

- LayerDrop leaves out hidden states in training and s3prl's count of them fails an assertion;
  s3prl's own upstream sets it to 0, so it is set to 0 here too.
- The last hidden state of models with the layer norm first (XLS-R, MMS) comes without the encoder's
  final layer norm; transformers 4 and s3prl's own upstream apply it.
- Masking in training raises an error for a batch shorter than one mask (0.2 s); such a batch goes
  unmasked.
"""

import logging

from asr_dro_plugin.errors import UserError, how_to_install

logger = logging.getLogger(__name__)


def import_s3prl():
    """The module ``s3prl``; a ``UserError`` where it is not installed."""
    try:
        import s3prl
        import s3prl.nn
    except ModuleNotFoundError as error:
        raise UserError(
            f"frontend s3prl needs s3prl, but Python has no module {error.name}. Use "
            f"another frontend, or install it: {how_to_install('ssl')}"
        ) from error
    return s3prl


def prepare_frontend(frontend) -> None:
    """Put an ESPnet ``S3prlFrontend`` right after it is built; twice the same as once.

    Other frontends, and s3prl's other upstreams, are left as they are.
    """
    model = getattr(getattr(getattr(frontend, "upstream", None), "upstream", None), "model", None)
    kind = getattr(getattr(model, "config", None), "model_type", None)  # of a Hugging Face model
    if kind != "wav2vec2" or getattr(model, "_asr_dro_prepared", False):
        return
    if model.config.layerdrop > 0:
        logger.warning(
            "s3prl frontend: layerdrop %g of the checkpoint set to 0, for the weighted sum needs "
            "every layer",
            model.config.layerdrop,
        )
        model.config.layerdrop = 0.0
    model.register_forward_hook(_with_final_layer_norm)
    model.register_forward_pre_hook(_without_mask_if_short, with_kwargs=True)
    model._asr_dro_prepared = True
    model._asr_dro_masks = getattr(model.config, "apply_spec_augment", True)


def _with_final_layer_norm(model, args, output):
    """The last of ``hidden_states`` (B, T, D) is the encoder's output, as in s3prl's upstream."""
    states = output.hidden_states
    if states and states[-1].shape == output.last_hidden_state.shape:
        output.hidden_states = (*states[:-1], output.last_hidden_state)
    return output


def _without_mask_if_short(model, args, kwargs) -> None:
    """Switch masking off for a batch of (B, samples) that is shorter than one mask."""
    speech = kwargs["input_values"] if "input_values" in kwargs else args[0]
    frames = int(model._get_feat_extract_output_lengths(speech.shape[-1]))
    long_enough = frames >= model.config.mask_time_length
    model.config.apply_spec_augment = model._asr_dro_masks and long_enough
