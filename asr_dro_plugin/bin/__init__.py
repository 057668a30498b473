"""One thin entry a command; ``asr-dro COMMAND`` (``bin.main``) dispatches to the same functions.

Imports: audio base data decoding espnet espnet.decode espnet.onebatch espnet.start experiment
export export.int8 export.onnx importing lm packing preflight pretrained reporting reporting.page
reporting.read reporting.terminal runtime scoring stack text transcribing transcripts.
"""

import os

from asr_dro_plugin.base.threads import set_thread_defaults

set_thread_defaults(os.environ)  # here: whichever command it is, before PyTorch is imported
