"""Recipes for MNIST with 1,000 labels: what the textbooks' ways of pretraining are worth to one small network.

docs/variants_regularised.md has the table, the line that runs all of them, and the settings that were tried. The
settings were chosen by images of the training part that were held out, never by the test images.
"""

from dataclasses import replace

from pipelines import stacked


def textbook_plain() -> stacked.Recipe:
    """Stack of plain autoencoders on MNIST, 784-500-250, fine-tuned with 1,000 labels; with all controls.

    Reproduces: no figure. It also trains the network from scratch, to its end, and gives the labels to the raw pixels.
    Command: kerasae stacked --recipe textbook-plain --seed 0
    Hardware: two CPU cores, a few minutes. Measured: see docs/variants_regularised.md.
    """
    return stacked.Recipe(
        variant="plain",
        data="tfds:mnist",
        out="runs/textbook/plain",
        widths=(500, 250),
        pretrain_epochs=10,
        labels=1000,
        finetune_epochs=100,
        finetune_batch=50,
        holdout=0.0,
    )


def pretrained(variant, **changes) -> stacked.Recipe:
    """Return textbook-plain with layers of another variant, without the controls, which are the same for all."""
    shared = {"variant": variant, "out": f"runs/textbook/{variant}", "scratch": False, "baselines": False}
    return replace(textbook_plain(), **{**shared, **changes})


def textbook_denoising() -> stacked.Recipe:
    """Stack of denoising autoencoders on MNIST, 784-500-250, fine-tuned with 1,000 labels.

    Reproduces: the protocol of textbook-plain.
    Command: kerasae stacked --recipe textbook-denoising --seed 0
    Hardware: two CPU cores, a few minutes. Measured: see docs/variants_regularised.md.
    """
    return pretrained("denoising", corruption_level=(0.5,))


def textbook_contractive() -> stacked.Recipe:
    """Stack of contractive autoencoders on MNIST, 784-500-250, fine-tuned with 1,000 labels.

    Reproduces: the protocol of textbook-plain.
    Command: kerasae stacked --recipe textbook-contractive --seed 0
    Hardware: two CPU cores, a few minutes. Measured: see docs/variants_regularised.md.
    """
    return pretrained("contractive", options={"contraction_weight": 1.0})


def textbook_sparse() -> stacked.Recipe:
    """Stack of sparse autoencoders on MNIST, 784-500-250, fine-tuned with 1,000 labels.

    Reproduces: the protocol of textbook-plain.
    Command: kerasae stacked --recipe textbook-sparse --seed 0
    Hardware: two CPU cores, a few minutes. Measured: see docs/variants_regularised.md.
    """
    return pretrained("sparse", options={"target_activity": 0.1, "sparsity_weight": 3.0})


def textbook_k_sparse() -> stacked.Recipe:
    """Stack of k-sparse autoencoders on MNIST, 784-500-250, fine-tuned with 1,000 labels.

    Reproduces: the protocol of textbook-plain; the network keeps the k largest units of a layer in fine-tuning too.
    Command: kerasae stacked --recipe textbook-k-sparse --seed 0
    Hardware: two CPU cores, a few minutes. Measured: see docs/variants_regularised.md.
    """
    return pretrained("k-sparse", options={"k": 100.0})


def textbook_dbn() -> stacked.Recipe:
    """Deep belief network on MNIST, 784-500-250, fine-tuned with 1,000 labels.

    Reproduces: the protocol of textbook-plain.
    Command: kerasae stacked --recipe textbook-dbn --seed 0
    Hardware: two CPU cores, a few minutes. Measured: see docs/variants_regularised.md.
    """
    sgd = {"pretrain_optimizer": "sgd", "pretrain_rate": 0.1}
    return pretrained("rbm", out="runs/textbook/dbn", options={"centring": 0.01}, **sgd)


def textbook_rbm() -> stacked.Recipe:
    """One restricted Boltzmann machine on MNIST, 784-500, fine-tuned with 1,000 labels.

    Reproduces: the protocol of textbook-plain, with the lower layer alone.
    Command: kerasae stacked --recipe textbook-rbm --seed 0
    Hardware: two CPU cores, a few minutes. Measured: see docs/variants_regularised.md.
    """
    return replace(textbook_dbn(), out="runs/textbook/rbm", widths=(500,))


RECIPES = {
    "stacked": {
        "textbook-plain": textbook_plain,
        "textbook-denoising": textbook_denoising,
        "textbook-contractive": textbook_contractive,
        "textbook-sparse": textbook_sparse,
        "textbook-k-sparse": textbook_k_sparse,
        "textbook-dbn": textbook_dbn,
        "textbook-rbm": textbook_rbm,
    }
}
"""Command → name → function that returns a `Recipe` of it."""
