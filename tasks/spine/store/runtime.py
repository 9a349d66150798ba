"""Where and how a stage runs: never part of any identity."""

from typing import Literal

from pydantic import Field

from tasks.config import Frozen

Approval = Literal["before-training", "promotion"]
"""Steps that a person may have to approve."""
Mirror = Literal["none", "wandb"]
"""Where what goes to MLflow goes too."""


class Runtime(Frozen):
    """Settings that may change speed, place and noise of a run, but not what its artifacts mean.

    `fingerprint` refuses this model by type. All defaults are ours.
    """

    dispatch: Literal["inline", "deployments"] = "inline"
    """Where a pipeline's stages run: `inline` in its own process, or each as a run of its own deployment, on the pool
    for machines with or without GPUs; then all arms run at the same time."""
    approve: tuple[Approval, ...] = ()
    """Steps before which the run is paused in Prefect's UI until somebody resumes it: `before-training`, with plan,
    counts and cost when all data are made; `promotion`, before a released model becomes `champion`."""
    mirror: Mirror = "none"
    """`wandb` sends parameters, metrics, tags and description of every MLflow run to Weights & Biases too, in the
    account of `wandb login`. Needs the extra `wandb`."""
    concurrent_arms: int = Field(1, ge=1)
    """Arms that run at the same time in one process; for small models, whose trainings leave a machine idle, and for
    several GPUs, of which each arm then has an equal share."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes CUDA where torch sees it."""
    engine: Literal["auto", "transformers", "vllm", "openai"] = "auto"
    """What generates text; `auto` is vLLM on a GPU, and on a CPU transformers or, from 0.3 billion weights on and where
    it is installed, vLLM."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of generation and scoring; `auto` follows the model on a GPU and is float32 on a CPU."""
    openai_base_url: str = "http://localhost:8000/v1"
    """Address of an OpenAI-compatible server; its key comes from OPENAI_API_KEY, never from here."""
    openai_model: str = ""
    """Name under which that server serves the model; empty asks the server for its only one."""
    concurrency: int = Field(64, ge=1)
    """Requests in flight to an OpenAI-compatible server."""
    batch_size: int = Field(256, ge=1)
    """Sequences that the transformers engine decodes together."""
    flush_rows: int = Field(512, ge=1)
    """Completions after which generation writes a batch file: the most that a kill can lose."""
    num_shards: int = Field(0, ge=0, le=200)
    """Shard tasks that the sampling of a stage is split into: of `generate`, `evaluate` and `predict`. Each starts an
    engine where it has work. 0: one for each engine that the GPUs of this machine, or of the Ray cluster, hold; one
    where there are none. Scoring, entropies and direct predictions have as many workers, but no more than run here at
    the same time."""
    ray_address: str = ""
    """Ray cluster whose nodes run the shard tasks, and nothing else (`ray://head:10001`, `head:6379`); `local` starts
    Ray on this machine and spreads them over its GPUs. Each takes `tensor_parallel_size` GPUs, and `num_threads` CPUs
    or one. Empty: they are spread over the GPUs of this machine without Ray, or over its CPUs, where `num_threads` says
    how many each takes."""
    num_verifiers: int = Field(2, ge=1)
    """Child processes that check answers."""
    verifier_memory_mb: int = Field(2048, ge=256)
    """Address space that one verifier may use, MiB."""
    allow_unsandboxed_code: bool = False
    """Run code that a model wrote without a sandbox, with limits alone, where the machine offers none. Such code can
    read and delete what this user can: only on a machine that is thrown away afterwards."""
    num_threads: int = Field(0, ge=0)
    """CPU threads of a worker; 0 leaves the choice to torch."""
    gpu_memory_utilization: float = Field(0.85, gt=0, le=1)
    """Share of GPU memory that vLLM takes for generation."""
    rollout_gpu_memory_utilization: float = Field(0.3, gt=0, le=1)
    """Share of GPU memory that vLLM takes beside the trainer in RL (TRL's colocate mode)."""
    tensor_parallel_size: int = Field(1, ge=1)
    """GPUs that one vLLM engine spans."""
    num_processes: int = Field(1, ge=1)
    """Processes of one training, over all machines, each with a GPU of its own (on a CPU: with `num_threads`). Above 1
    they are started by `accelerate launch`; the global batch stays the same."""
    distribution: Literal["ddp", "fsdp2", "deepspeed-zero2", "deepspeed-zero3"] = "ddp"
    """How more than one process share a training: `ddp` has the whole model in each; `fsdp2` and `deepspeed-zero3`
    shard weights, gradients and optimiser state over them, `deepspeed-zero2` all but the weights."""
    accelerate_config: str = ""
    """Path of an own configuration of `accelerate launch` (YAML), in place of the one that `distribution` names: for
    several machines, CPU offload, other sharding. With it the launcher starts one process too."""
    rollout_tensor_parallel_size: int = Field(1, ge=1)
    """GPUs that one vLLM engine spans beside the trainer in RL; a divisor of `num_processes`."""
    sft_micro_batch_tokens: int = Field(0, ge=0)
    """Tokens, padding included, of a forward and backward pass on examples or texts, on each device: of `midtrain`,
    `think_tags` and RMT's texts. 0 lets the stage choose. One that is longer has a pass of its own, and the global
    batch stays the same."""
    rl_micro_batch_tokens: int = Field(0, ge=0)
    """The same of a pass on rollouts with their prompts: of `rl` and `rmt_train`."""
    compile_backend: Literal["", "inductor", "aot_eager"] = ""
    """Backend of `torch.compile` for the layers of a model in training: `inductor` fuses norms, activations and rotary
    embeddings, `aot_eager` only shows whether a model can be traced. Empty: none; the first steps take minutes else."""
    save_every_steps: int = Field(50, ge=1)
    """Training steps between checkpoints that a killed trainer resumes from."""
    timeout_s: float = Field(6 * 3600.0, gt=0)
    """Longest time for one worker process, seconds."""
    lease_timeout_s: float = Field(180.0, gt=1)
    """Seconds without a heartbeat after which another run may take a stage over. Longer than `MIDTRAIN_S3_PATIENCE_S`:
    a holder that waits for S3 to come back, and whose heartbeats fail meanwhile, keeps its lease."""
    trust_remote_code: bool = False
    """Run model code that ships with a checkpoint. Off unless asked for."""
