"""Draw random weights in the layouts of other projects, and compute outputs from them by `mae_reference`.

Names and shapes are written from those projects; nothing is imported from `kerasae.weights`.
"""

import mae_reference
import numpy as np


def random_weights(seed=0, *, grid=(4, 4), patch=(2, 2), channels=3, width=16, depth=2, hidden=40, decoder=True):
    """Draw encoder and decoder weights of the reference project: name → float32."""
    rng = np.random.default_rng(seed)
    (p, q), places = patch, grid[0] * grid[1]
    weights = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, places + 1, width),
        "patch_embed.proj.weight": (width, channels, p, q),
        "patch_embed.proj.bias": (width,),
        **{k: v for i in range(depth) for k, v in block(f"blocks.{i}", width, hidden).items()},
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    if decoder:
        weights |= {
            "decoder_embed.weight": (12, width),
            "decoder_embed.bias": (12,),
            "mask_token": (1, 1, 12),
            "decoder_pos_embed": (1, places + 1, 12),
            **block("decoder_blocks.0", 12, 12 * hidden // width),
            "decoder_norm.weight": (12,),
            "decoder_norm.bias": (12,),
            "decoder_pred.weight": (p * q * channels, 12),
            "decoder_pred.bias": (p * q * channels,),
        }
    return {name: rng.normal(scale=0.3, size=shape).astype("float32") for name, shape in weights.items()}


def block(name, width, hidden):
    shapes = {
        "norm1.weight": (width,),
        "norm1.bias": (width,),
        "attn.qkv.weight": (3 * width, width),
        "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width),
        "attn.proj.bias": (width,),
        "norm2.weight": (width,),
        "norm2.bias": (width,),
        "mlp.fc1.weight": (hidden, width),
        "mlp.fc1.bias": (hidden,),
        "mlp.fc2.weight": (width, hidden),
        "mlp.fc2.bias": (width,),
    }
    return {f"{name}.{part}": shape for part, shape in shapes.items()}


# ---- transformers

OUTSIDE = {
    "cls_token": "vit.embeddings.cls_token",
    "pos_embed": "vit.embeddings.position_embeddings",
    "patch_embed.proj.": "vit.embeddings.patch_embeddings.projection.",
    "norm.": "vit.layernorm.",
    "head.": "classifier.",
    "decoder_embed.": "decoder.decoder_embed.",
    "mask_token": "decoder.mask_token",
    "decoder_pos_embed": "decoder.decoder_pos_embed",
    "decoder_norm.": "decoder.decoder_norm.",
    "decoder_pred.": "decoder.decoder_pred.",
}
HUB = {"norm1": "layernorm_before", "norm2": "layernorm_after", "attn.proj": "attention.output.dense"}
HUB |= {"mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense"}
MEMORY = {**HUB, "attn.proj": "attention.o_proj", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
THIRDS = {"hub": "attention.attention.{0}", "memory": "attention.{1}_proj", "saved": "attention.attention.{0}"}
BLOCKS = {
    "hub": ("vit.encoder.layer", "decoder.decoder_layers"),
    "memory": ("vit.layers", "decoder.decoder_layers"),
    "saved": ("vit.encoder.layer", "decoder.decoder_encoder.layer"),
}


def transformers(weights, kind):
    """Rename weights as in transformers: files on the "hub", version 5 in "memory", or "saved" by version 5."""
    renamed = {}
    for name, value in weights.items():
        if "blocks." not in name:
            start = next(start for start in OUTSIDE if name == start or (start[-1] == "." and name.startswith(start)))
            renamed[OUTSIDE[start] + name.removeprefix(start)] = value
            continue
        place, number, *part, last = name.split(".")
        start = f"{BLOCKS[kind][place == 'decoder_blocks']}.{number}"
        part = ".".join(part)
        if part == "attn.qkv":
            for word, third in zip(("query", "key", "value"), np.split(value, 3), strict=True):
                renamed[f"{start}.{THIRDS[kind].format(word, word[0])}.{last}"] = third
        else:
            renamed[f"{start}.{(MEMORY if kind == 'memory' else HUB)[part]}.{last}"] = value
    return renamed


# ---- the forward pass


class Oracle:
    """Weights of the reference project by the paths of `mae_reference`, in double precision."""

    def __init__(self, weights):
        self.values = {}
        for name, value in weights.items():
            value = value.astype("float64")
            if name == "patch_embed.proj.weight":
                d, c, p, q = value.shape
                rows = [value[:, k, i, j] for i in range(p) for j in range(q) for k in range(c)]
                self.values["row_embed/kernel"] = np.stack(rows)
            else:
                self.values[path(name)] = value.T if value.ndim == 2 else value

    def __call__(self, path):
        return self.values[path]


def path(name):
    """Convert a name: cls_token → row_tokens/class_token, blocks.0.norm1.weight → row_block_0/norm1/gamma, …"""
    decoder = "_decoder" * (name.startswith("decoder_") or name == "mask_token")
    name = name.removeprefix("decoder_")
    if name in ("cls_token", "mask_token", "pos_embed"):
        own = {"cls_token": "class_token", "pos_embed": "positions"}.get(name, name)
        return f"row{decoder}_tokens/{own}"
    *parts, last = name.replace("blocks.", "block_").replace("attn.", "attention.").replace("mlp.", "").split(".")
    if parts[0] == "patch_embed":
        parts = ["embed"]
    kind = {"weight": "gamma", "bias": "beta"} if "norm" in parts[-1] else {"weight": "kernel", "bias": "bias"}
    return f"row{decoder}_{'/'.join(parts)}/{kind[last]}"


def tokens(image, weights, patch, heads, depth):
    """Encode a whole image without masking: tokens [1 + N, D] before the last normalisation."""
    oracle = Oracle(weights)
    x = mae_reference.linear(mae_reference.patches_of(image, *patch), oracle, "row_embed")
    x = np.concatenate([oracle("row_tokens/class_token")[0], x]) + oracle("row_tokens/positions")[0]
    for i in range(depth):
        x = mae_reference.block(x, oracle, f"row_block_{i}", heads)
    return x


def normalised(x, weights, name):
    """Normalise tokens by the layer normalisation called `name`."""
    centred = x - x.mean(-1, keepdims=True)
    x = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
    return x * weights[f"{name}.weight"].astype("float64") + weights[f"{name}.bias"].astype("float64")
