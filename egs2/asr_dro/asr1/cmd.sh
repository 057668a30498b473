# shellcheck shell=bash
# How the recipe's commands are run.  Every one keeps the same contract:
#     ${CMD} [--gpu N] [--mem 4G] [--num_threads N] [--max_jobs_run N] [JOB=1:nj] LOG command...
# local: on this machine.  slurm: through sbatch, with the site's defaults in conf/slurm.conf.

cmd_backend=${CMD_BACKEND:-local}  # local or slurm; the variable CMD_BACKEND wins

case ${cmd_backend} in
    local) cmd="utils/job.py --backend local" ;;
    slurm) cmd="utils/job.py --backend slurm --conf conf/slurm.conf" ;;
    *)
        echo "ERROR: cmd.sh: cmd_backend is '${cmd_backend}'. Set it, or CMD_BACKEND, to local or slurm." >&2
        return 2
        ;;
esac

# shellcheck disable=SC2034  # the three are used by the script that sources this
{
    train_cmd=${cmd}   # data and statistics
    cuda_cmd=${cmd}    # training
    decode_cmd=${cmd}  # decoding
}
