"""The end of a rank of a test's process group, without torch's deadlock."""

import torch.distributed as dist


def leave_together() -> None:
    """A rank's last step: all have come so far, and the group ends with the process.

    ``destroy_process_group`` is left out on purpose.  A wrapper of torch that is still there then
    is the group's last owner: it goes with Python's lock held and waits for gloo's thread, which
    waits for the lock to let go of the last reduction, and the process hangs for ever (seen with
    torch 2.13, once in a few runs on an idle machine).
    """
    dist.barrier()
