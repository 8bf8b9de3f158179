"""Recipes for CIFAR-10."""

from pipelines import finetune, mae


def mae_cifar10() -> mae.Recipe:
    """Masked autoencoder on CIFAR-10: 192×6, patches of 4×4, three quarters hidden, 50,000 images without labels.

    Reproduces: nothing; keras.io's example reaches 44 to 49 % with a linear probe after its 100 epochs.
    Command: kerasae mae --recipe mae-cifar10, then kerasae probe runs/mae-cifar10
    Measured on two CPU cores: 61 minutes; with all labels linear probe 60.8 %, attentive probe 69.5 %, 20 nearest
    neighbours 51.7 %; see docs/mae.md for fewer labels and for the loss curve.
    """
    return mae.Recipe(
        data="tfds:cifar10",
        out="runs/mae-cifar10",
        depth=6,
        decoder_width=96,
        decoder_depth=2,
        epochs=45,
        warmup_epochs=5,
        batch_size=256,
        base_rate=1e-3,
        precision="auto",
    )


def mae_cifar10_long() -> mae.Recipe:
    """ViT-T, 192×12, on CIFAR-10 with patches of 2×2 for 400 epochs, for one GPU.

    Reproduces: the protocol in which 91.2 % after fine-tuning are published for a ViT-T after 400 epochs.
    Command: kerasae mae --recipe mae-cifar10-long
    Not measured yet: it needs a GPU.
    """
    return mae.Recipe(
        data="tfds:cifar10",
        out="runs/mae-cifar10-long",
        patch=(2,),
        epochs=400,
        warmup_epochs=40,
        batch_size=512,
        base_rate=5e-4,
        precision="bfloat16",
        pictures_every=50,
    )


def tuned(labels=None, **changes) -> finetune.Recipe:
    """Return the settings shared by all fine-tunings of mae-cifar10."""
    settings = {
        "run": "runs/mae-cifar10",
        "labels": labels,
        "finetune_batch": 128,
        "finetune_rate": 1e-3,
        "warmup": 0.1,
        "weight_decay": 0.05,
        "layer_decay": 0.75,
        "drop_path": 0.1,
        "label_smoothing": 0.1,
        "crop": 0.5,
        "flip": True,
        "holdout": 0.0,
        "precision": "auto",
    }
    return finetune.Recipe(**{**settings, **changes})


def mae_cifar10_5000() -> finetune.Recipe:
    """Fine-tuning of mae-cifar10 with 5,000 labels.

    Command: kerasae mae --recipe mae-cifar10, then kerasae finetune --recipe mae-cifar10-5000
    Measured on two CPU cores: 17 minutes and as many for the control; accuracy 68.9 %, from scratch 57.1 %.
    """
    return tuned(5000, finetune_epochs=40)


def mae_cifar10_all() -> finetune.Recipe:
    """Fine-tuning of mae-cifar10 with all 50,000 labels.

    Command: kerasae mae --recipe mae-cifar10, then kerasae finetune --recipe mae-cifar10-all
    Measured on two CPU cores: 26 minutes and as many for the control; accuracy 75.8 %, from scratch 63.6 %.
    """
    return tuned(finetune_epochs=6, finetune_batch=250)


RECIPES = {
    "mae": {
        "mae-cifar10": mae_cifar10,
        "mae-cifar10-long": mae_cifar10_long,
    },
    "finetune": {
        "mae-cifar10-5000": mae_cifar10_5000,
        "mae-cifar10-all": mae_cifar10_all,
    },
}
"""Command → name → function that returns a `Recipe` of it."""
