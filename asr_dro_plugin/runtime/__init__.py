"""An exported model at work with numpy and onnxruntime: checked, loaded, transcribing; no torch.

Imports: audio base decoding emissions experiment packing text transcribing transcripts.
"""


def __getattr__(name: str):
    """``Recogniser``, without numpy for those that want the manifest alone."""
    if name != "Recogniser":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from asr_dro_plugin.runtime.recogniser import Recogniser

    return Recogniser
