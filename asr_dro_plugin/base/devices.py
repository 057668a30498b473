"""Where to compute: the CPU, or a GPU that is really there."""

from asr_dro_plugin.errors import UserError


def device_of(ngpu: int) -> str:
    """``cpu`` or ``cuda`` for an option ``--ngpu``; torch is imported only when a GPU is asked for.

    Raises:
        UserError: more GPUs than this machine shows to torch.
    """
    if ngpu == 0:
        return "cpu"
    if ngpu < 0:
        raise UserError(f"--ngpu {ngpu} is no number of GPUs. Give --ngpu 0 for the CPU.")
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if ngpu > there:
        raise UserError(
            f"--ngpu {ngpu} asks for {ngpu} GPU{'s' * (ngpu > 1)}, but torch {torch.__version__} "
            f"sees {there or 'none'} on this machine. "
            f"Give --ngpu {there}{'' if there else ' to compute on the CPU'}."
        )
    return "cuda"
