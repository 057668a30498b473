"""Optimizers and learning rate schedules that torch does not have.

Imports: nothing.
"""

OPTIMIZERS = {"novograd": "asr_dro_plugin.optim.novograd:NovoGrad"}
SCHEDULERS = {
    "tri_stage": "asr_dro_plugin.optim.schedules:TriStage",
    "warmup_cosine": "asr_dro_plugin.optim.schedules:WarmupCosine",
}
