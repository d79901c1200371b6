#!/usr/bin/env python3
"""Hugging Face's BERT on PyTorch: an engine of a contest (contest.py), the peer of WarpBERT on a GPU.

It is given its best: fused attention (sdpa), bf16, fused AdamW, clipping of all gradients at once, gradients set to None,
TF32 for what stays float32, batches in page-locked memory, no wait for a loss inside a turn. Every step reads its batch
from the host, as ours does; an inference ends with logits on the host.

    torch_bert.py model DIR                              random weights of bert-base's sizes, for all engines
    torch_bert.py train --model DIR --batch FILE ...     takes turns; FILE is what `warpbert bench --turns FILE` wrote
"""
import argparse
import json
import os
import sys
import time


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["train", "infer", "model"])
    parser.add_argument("folder", nargs="?", help="of model: where it goes")
    parser.add_argument("--model", help="a folder with config.json and model.safetensors")
    parser.add_argument("--batch", help="JSON: sequences, labels, padded_length")
    parser.add_argument("--pad", default="longest", choices=["longest", "maximum", "none"],
                        help="to the longest of the batch, to the batch's padded_length, or not at all (varlen attention)")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--graph", action="store_true", help="infer: one CUDA graph")
    parser.add_argument("--weights", default="autocast", choices=["autocast", "bf16"], help="bf16: infer with weights in bfloat16")
    args = parser.parse_args(argv)
    if args.what == "model" and not args.folder:
        parser.error("model needs a folder")
    if args.what != "model" and not (args.model and args.batch):
        parser.error(args.what + " needs --model and --batch")
    if args.what == "train" and (args.graph or args.weights == "bf16"):
        parser.error("--graph and --weights bf16 are for infer")
    return args


def padded(sequences, length):
    """Ids [B, length] and mask [B, length], or no mask where no sequence is shorter."""
    ids = [s + [0] * (length - len(s)) for s in sequences]
    if all(len(s) == length for s in sequences):
        return ids, None
    return ids, [[1] * len(s) + [0] * (length - len(s)) for s in sequences]


def packed(sequences):
    """Ids [T], positions [T] and cu_seqlens [B + 1]."""
    starts = [0]
    for s in sequences:
        starts.append(starts[-1] + len(s))
    return [i for s in sequences for i in s], [p for s in sequences for p in range(len(s))], starts


def vocabulary(size):
    """Lines of a vocab.txt, without which a folder is no whole model to us; nobody reads a word of it."""
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"word{i}" for i in range(5, size)]


VARLEN = "torch.nn.attention.varlen"  # it has no dropout, which is less work than ours


class Answers:
    """Standard output for answers alone: whatever a library prints goes to standard error."""

    def __init__(self):
        self.out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def say(self, line):
        self.out.write(line + "\n")
        self.out.flush()


def take_turns(answers, work, about):
    """The protocol of org.warpbert.bench.Turns."""
    answers.say("ready")
    for line in sys.stdin:
        words = line.split()
        if words[:1] != ["run"]:
            break
        start = time.perf_counter_ns()
        work(int(words[1]))
        answers.say(str(time.perf_counter_ns() - start))
    answers.say(json.dumps(about()))


def varlen_attention():
    """A function of q, k, v [T, A, D], cu_seqlens, the longest length and dropout; and whose it is."""
    try:
        import flash_attn

        def flash(q, k, v, cu, longest, dropout):
            return flash_attn.flash_attn_varlen_func(q, k, v, cu, cu, longest, longest, dropout_p=dropout)
        return flash, "flash_attn " + flash_attn.__version__
    except ImportError:
        pass
    try:
        from torch.nn.attention.varlen import varlen_attn

        def varlen(q, k, v, cu, longest, dropout):
            return varlen_attn(q, k, v, cu, cu, longest, longest)
        return varlen, VARLEN
    except ImportError:
        return None, "neither flash_attn nor torch.nn.attention.varlen is installed"


def attention_kernels(torch, work):
    """Names of the kernels of fused attention that the work launches: which of its own PyTorch chose."""
    try:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            work()
        names = [event.key for event in profile.key_averages()]
        return sorted(name[:120] for name in names if any(part in name.lower() for part in ("sdpa", "flash", "fmha", "attention")))
    except RuntimeError as error:  # no profiler here: no reason to lose the times
        return ["unknown: " + str(error).splitlines()[0]]


def logits_of(model, ids, mask):
    """Ids [B, S] to logits [B, 2]. Without a mask through the encoder itself: BertModel would ask the device whether its mask is full."""
    if mask is not None:
        return model(input_ids=ids, attention_mask=mask).logits
    bert = model.bert
    return model.classifier(model.dropout(bert.pooler(bert.encoder(bert.embeddings(input_ids=ids))[0])))


def unpadded_logits_of(model, attention, ids, positions, kinds, starts, firsts, longest):
    """As logits_of, over packed rows [1, T]: everything but attention has no padding to compute either."""
    bert = model.bert
    x = bert.embeddings(input_ids=ids, position_ids=positions, token_type_ids=kinds)[0]
    for layer in bert.encoder.layer:
        own = layer.attention.self
        q, k, v = (product(x).view(-1, own.num_attention_heads, own.attention_head_size) for product in (own.query, own.key, own.value))
        dropout = model.config.attention_probs_dropout_prob if model.training else 0.0
        seen = attention(q, k, v, starts, longest, dropout).flatten(1)
        x = layer.attention.output(seen, x)
        x = layer.output(layer.intermediate(x), x)
    return model.classifier(model.dropout(bert.pooler(x[firsts].unsqueeze(1))))


def forward(torch, args, model, batch):
    """The batch's tensors in page-locked memory, a function of those tensors on the device to logits, and what attention it is."""
    if args.pad == "none":
        attention, whose = varlen_attention()
        if attention is None:
            return None, None, whose
        ids, positions, starts = packed(batch["sequences"])
        rows = [torch.tensor([ids]), torch.tensor([positions]), torch.zeros(1, len(ids), dtype=torch.long),
                torch.tensor(starts, dtype=torch.int32), torch.tensor(starts[:-1])]
        longest = max(len(s) for s in batch["sequences"])

        def of_rows(ids, positions, kinds, starts, firsts):
            return unpadded_logits_of(model, attention, ids, positions, kinds, starts, firsts, longest)
        return rows, of_rows, whose
    length = batch["padded_length"] if args.pad == "maximum" else max(len(s) for s in batch["sequences"])
    ids, mask = padded(batch["sequences"], length)
    rows = [torch.tensor(ids)] + ([] if mask is None else [torch.tensor(mask)])

    def of_padded(ids, mask=None):
        return logits_of(model, ids, mask)
    return rows, of_padded, "scaled_dot_product_attention"


def trainer(torch, model, rows, logits, labels):
    """A function of a number of steps, which returns the last one's loss."""
    model.train()
    named = list(model.named_parameters())
    parameters = [p for _, p in named]
    optimizer = torch.optim.AdamW([{"params": [p for _, p in named if p.dim() > 1], "weight_decay": 0.01},
                                   {"params": [p for _, p in named if p.dim() <= 1], "weight_decay": 0.0}], lr=2e-5, fused=True)
    rows = [r.pin_memory() for r in rows]
    labels = torch.tensor(labels).pin_memory()

    def steps(times):
        for _ in range(times):
            with torch.autocast("cuda", dtype=torch.bfloat16):
                values = logits(*[r.to("cuda", non_blocking=True) for r in rows])
                loss = torch.nn.functional.cross_entropy(values.float(), labels.to("cuda", non_blocking=True))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return [loss.item()]  # waits for all of it
    return steps


def inferrer(torch, args, model, rows, logits):
    """A function of a number of inferences, each ended on the host, which returns the first eight logits."""
    model.eval()
    rows = [r.pin_memory() for r in rows]
    static = [r.to("cuda") for r in rows]

    def compute():
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=args.weights == "autocast"):
            return logits(*static)

    @torch.inference_mode()
    def captured():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                compute()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            values = compute()

        def replay():
            graph.replay()
            return values
        return replay

    once = captured() if args.graph else compute

    @torch.inference_mode()
    def inferences(times):
        for _ in range(times):
            for there, row in zip(static, rows):
                there.copy_(row, non_blocking=True)
            values = once().cpu()
        return values.float().flatten()[:8].tolist()
    return inferences


def main(argv):
    args = arguments(argv)
    answers = Answers()
    import torch
    import transformers

    if args.what == "model":
        torch.manual_seed(42)
        config = transformers.BertConfig(num_labels=2)
        transformers.BertForSequenceClassification(config).save_pretrained(args.folder)
        with open(os.path.join(args.folder, "vocab.txt"), "w", encoding="utf-8") as file:
            file.write("\n".join(vocabulary(config.vocab_size)) + "\n")
        return
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(42)
    with open(args.batch, encoding="utf-8") as file:
        batch = json.load(file)
    model = transformers.BertForSequenceClassification.from_pretrained(args.model, attn_implementation="sdpa").to("cuda")
    if args.weights == "bf16":
        model.to(torch.bfloat16)
    rows, logits, attention = forward(torch, args, model, batch)
    if rows is None:
        answers.say("skip " + attention)
        return
    if args.compile:
        logits = torch.compile(logits)
    run = trainer(torch, model, rows, logits, batch["labels"]) if args.what == "train" else inferrer(torch, args, model, rows, logits)
    last = []

    def work(times):
        last[:] = run(times)
        torch.cuda.synchronize()

    work(3)  # compiles, chooses algorithms, fills the allocator
    take_turns(answers, work, lambda: {
        "library": f"PyTorch {torch.__version__}, transformers {transformers.__version__}, cuDNN {torch.backends.cudnn.version()}",
        "layout": {"none": "packed", "longest": "padded to the longest", "maximum": f"padded to {batch['padded_length']}"}[args.pad],
        "attention": attention, "weights": args.weights, "compiled": args.compile, "cuda_graph": args.graph,
        "result": list(last), "less": ", without dropout of probabilities" if args.what == "train" and attention == VARLEN else "",
        "kernels": attention_kernels(torch, lambda: work(1)), "graph_breaks": sum(torch._dynamo.utils.counters["graph_break"].values()) if args.compile else 0,
        "peak_device_bytes": torch.cuda.max_memory_allocated(), "reserved_device_bytes": torch.cuda.max_memory_reserved()})


if __name__ == "__main__":
    main(sys.argv[1:])
