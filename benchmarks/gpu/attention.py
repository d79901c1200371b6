#!/usr/bin/env python3
"""Fused attention of others at our shapes: PyTorch's cuDNN, flash and memory-efficient kernels, forward and backward.

bf16, heads of 64, 16,384 tokens, no dropout. Timed as `warpbert bench ops` times: by events, each run after the caches were
overwritten, which also hides the launch; the median counts. flop of a sequence of n tokens: 4 n^2 H forward, 10 n^2 H backward.
Writes gpu-attention.json.
"""
import argparse
import datetime
import json
import os
import sys

from contest import spread_of, write

HEADS, SIZE, TOKENS = 12, 64, 16384
FLUSHED = 512 << 20  # bytes: beyond any cache
ASLEEP = 2_000_000  # the device's clocks: longer than a backward takes to launch


def timed(torch, run, flush, warmup, repeats):
    """Seconds of the device, as org.warpbert.bench.Stopwatch."""
    seconds = []
    for i in range(warmup + repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        flush.zero_()
        torch.cuda._sleep(ASLEEP)
        begin.record()
        run()
        end.record()
        end.synchronize()
        if i >= warmup:
            seconds.append(begin.elapsed_time(end) * 1e-3)
    return spread_of(seconds, warmup)


def figure(torch, name, backend, length, flush, options):
    from torch.nn.attention import sdpa_kernel

    batch = TOKENS // length
    qkv = torch.randn(batch, length, 3, HEADS, SIZE, device="cuda", dtype=torch.bfloat16)
    q, k, v = (part.transpose(1, 2).detach().requires_grad_() for part in qkv.unbind(2))  # as a product leaves them: [B, A, S, D]
    gradient = torch.randn(batch, length, HEADS, SIZE, device="cuda", dtype=torch.bfloat16).transpose(1, 2)

    def forward():
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)

    with sdpa_kernel(backend):
        out = forward()
        there = timed(torch, forward, flush, options.warmup, options.repeats)
        back = timed(torch, lambda: torch.autograd.grad(out, (q, k, v), gradient, retain_graph=True), flush, options.warmup, options.repeats)
    flop = 4 * batch * length * length * HEADS * SIZE
    return {"backend": name, "length": length, "sequences": batch, "heads": HEADS, "head_size": SIZE, "forward": there, "backward": back,
            "tflops_forward": flop * 1e-12 / there["median"], "tflops_backward": 2.5 * flop * 1e-12 / back["median"],
            "tflops_both": 3.5 * flop * 1e-12 / (there["median"] + back["median"])}


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default=".", help="where the JSON goes")
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args(argv)
    import torch
    from torch.nn.attention import SDPBackend

    flush = torch.empty(FLUSHED, dtype=torch.uint8, device="cuda")
    figures, absent = [], []
    for length in (128, 512):
        for name in ("CUDNN_ATTENTION", "FLASH_ATTENTION", "EFFICIENT_ATTENTION"):
            try:
                figures.append(figure(torch, name, getattr(SDPBackend, name), length, flush, options))
                print(json.dumps({k: v for k, v in figures[-1].items() if not isinstance(v, dict)}), flush=True)
            except RuntimeError as error:  # not for this device, type or shape
                absent.append({"name": f"{name} {length}", "reason": str(error).splitlines()[0]})
                print(f"{name} {length}: {error}", flush=True)
    os.makedirs(options.results, exist_ok=True)
    write(os.path.join(options.results, "gpu-attention.json"), {
        "name": "attention", "figures": figures, "absent": absent, "command": "benchmarks/gpu/attention.py", "device": torch.cuda.get_device_name(),
        "library": f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}",
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")})
    return 0 if figures else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
