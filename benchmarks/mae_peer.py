"""Time training steps of transformers' ViTMAEForPreTraining, the peer in `mae_step.py`, in a separate process.

    python benchmarks/mae_peer.py tiny|base fp32|bf16 eager|compile BATCH [cpu|cuda]

Needs torch and transformers, but not kerasae. Protocol: prints `ready`; then answers each line of standard input. A
number of steps is answered by their seconds, `peak` by the two numbers of `process_memory.peak`, or on a GPU by the
peak MiB allocated on it.
"""

import sys
import time

import torch
from process_memory import peak
from transformers import ViTMAEConfig, ViTMAEForPreTraining

TINY = {
    "image_size": 32,
    "patch_size": 4,
    "hidden_size": 192,
    "num_hidden_layers": 12,
    "num_attention_heads": 3,
    "intermediate_size": 768,
    "decoder_hidden_size": 192,
    "decoder_num_hidden_layers": 4,
    "decoder_num_attention_heads": 3,
    "decoder_intermediate_size": 768,
}


def main(size, kind, mode, batch, device="cpu"):
    shared = {"norm_pix_loss": True, "layer_norm_eps": 1e-6, "mask_ratio": 0.75}
    config = ViTMAEConfig(**(TINY if size == "tiny" else {}), **shared)
    model = ViTMAEForPreTraining(config).train().to(device)
    forward = torch.compile(model) if mode == "compile" else model
    adamw = {"lr": 1e-4, "betas": (0.9, 0.95), "weight_decay": 0.05, "fused": device == "cuda" or None}
    optimizer = torch.optim.AdamW(model.parameters(), **adamw)
    images = torch.randn(int(batch), 3, config.image_size, config.image_size, device=device)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=kind == "bf16"):
            loss = forward(images).loss
        loss.backward()
        optimizer.step()
        return loss

    def steps(count):
        for _ in range(count):
            loss = step()
        return loss.item()  # waits for the GPU

    steps(2)
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "peak":
            print(*(peak() if device == "cpu" else [torch.cuda.max_memory_allocated() / 2**20]), flush=True)
            continue
        began = time.perf_counter()
        steps(int(line))
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
