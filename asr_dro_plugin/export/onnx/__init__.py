"""A trained model of CTC as a folder with an ONNX graph, compared with torch beforehand.

Imports: audio base decoding espnet.decode espnet.start experiment export export.int8 features nets
    packing pretrained reporting.card reporting.read runtime stack text.
"""
