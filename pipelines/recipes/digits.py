"""Recipes for scikit-learn's 1,797 digits of 8×8 pixels, which need no download: the parts of `kerasae quickstart`."""

from pipelines import finetune, mae, stacked, train


def sdae_digits() -> stacked.Recipe:
    """Stacked denoising autoencoder on digits, 64-512-256, then 100 labels; mean of 3 choices of labels.

    Reproduces: nothing; a part of the quickstart.
    Command: kerasae stacked --recipe sdae-digits
    Measured on two CPU cores that other work shared: accuracy 90.93 % (standard deviation 1.76 over the 3); from
    scratch, with the same labels and budget, 88.89 % (2.93); linear probe 91.48 % (1.31). About a minute in all.
    """
    return stacked.Recipe(
        out="runs/sdae-digits",
        widths=(512, 256),
        pretrain_epochs=150,
        pretrain_batch=30,
        labels=100,
        repeats=3,
        finetune_epochs=20,
        holdout=0.0,
    )


def vae_digits() -> train.Recipe:
    """Convolutional variational autoencoder on digits: sixteen latent dimensions, two halvings.

    Reproduces: nothing; a part of the quickstart.
    Command: kerasae train --recipe vae-digits, then kerasae probe runs/vae-digits --labels 100 --repeats 3
    Measured on two CPU cores that other work shared: 15 seconds; linear probe 88.61 % (standard deviation 1.00 over
    the 3), 20.3 dB of the test images. One seed.
    """
    return train.Recipe(
        variant="variational",
        network="conv",
        # At beta 1 the code carries only 3 nats, since it lowers the cross-entropy of 64 grey values only a little.
        options={"beta": 0.2},
        out="runs/vae-digits",
        code=16,
        epochs=120,
        batch_size=50,
    )


def mae_digits() -> mae.Recipe:
    """Masked autoencoder on digits: three blocks of width 96 on patches of 2×2.

    Its targets are pixels, so that the pictures show the digits' own grey.

    Reproduces: nothing; a part of the quickstart.
    Command: kerasae mae --recipe mae-digits, then kerasae probe runs/mae-digits --labels 100 --repeats 3
    Measured on two CPU cores that other work shared: two minutes; linear probe 87.22 % (standard deviation 1.73 over
    the 3), which is less than that of sdae-digits and vae-digits. One seed.
    """
    return mae.Recipe(
        out="runs/mae-digits",
        patch=(2,),
        width=96,
        depth=3,
        heads=4,
        decoder_width=48,
        decoder_depth=1,
        decoder_heads=4,
        normalize_targets=False,
        epochs=150,
        batch_size=128,
        base_rate=4e-3,
        crop=0.6,
        flip=False,
        pictures_every=50,
    )


def vae_digits_100() -> finetune.Recipe:
    """Fine-tuning of vae-digits with 100 labels, mean of 3 choices of labels.

    Command: kerasae train --recipe vae-digits, then kerasae finetune --recipe vae-digits-100
    Measured on two CPU cores that other work shared: accuracy 88.80 % (standard deviation 0.89 over the 3); from
    scratch, with the same labels and budget, 88.24 % (0.58), which is no worse.
    """
    return finetune.Recipe(run="runs/vae-digits", labels=100, repeats=3, finetune_epochs=20, holdout=0.0)


def mae_digits_100() -> finetune.Recipe:
    """Fine-tuning of mae-digits with 100 labels, mean of 3 choices of labels.

    Command: kerasae mae --recipe mae-digits, then kerasae finetune --recipe mae-digits-100
    Measured on two CPU cores that other work shared: accuracy 85.09 % (standard deviation 0.98 over the 3); from
    scratch, with the same labels, distortions and steps, 55.28 % (8.22).
    """
    return finetune.Recipe(
        run="runs/mae-digits",
        labels=100,
        repeats=3,
        finetune_epochs=20,
        finetune_batch=50,
        finetune_min_steps=10,
        holdout=0.0,
        augment="affine",
        weight_decay=0.05,
    )


RECIPES = {
    "stacked": {"sdae-digits": sdae_digits},
    "train": {"vae-digits": vae_digits},
    "mae": {"mae-digits": mae_digits},
    "finetune": {"vae-digits-100": vae_digits_100, "mae-digits-100": mae_digits_100},
}
"""Command → name → function that returns a `Recipe` of it."""
