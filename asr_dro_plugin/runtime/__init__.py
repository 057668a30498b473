"""An exported model at work with numpy and onnxruntime: checked, loaded, transcribing; no torch.

Imports: nothing.
"""
