"""Train pythae's models, the peer in `generative.py`, in a separate process.

    python benchmarks/generative_peer.py IMAGES.npz EPOCHS NAME...

Needs torch and pythae, but not kerasae. IMAGES.npz holds float32 `train` and `test` [N, 784], and `train_binary` and
`test_binary` of 0 and 1. Prints a line of JSON for each name: squared error and seconds, and the nats of a
likelihood where the model has one.
"""

import json
import statistics
import sys
import tempfile
import time

import numpy as np
import pythae.models as library
import torch
from pythae.data.datasets import BaseDataset
from pythae.trainers import BaseTrainer, BaseTrainerConfig

OPTIONS = {
    "AE": {},
    "WAE_MMD": {"reg_weight": 10.0},
    "VAE": {},
    "BetaVAE": {"beta": 4.0},
    "IWAE": {"number_samples": 5},
    "VAMP": {"number_components": 50},
}
WITHOUT_LIKELIHOOD = ("AE", "WAE_MMD")
SAMPLES = 200


def main(file, epochs, *names):
    torch.set_num_threads(2)
    with np.load(file) as images:
        for name in names:
            torch.manual_seed(0)
            kind = "" if name in WITHOUT_LIKELIHOOD else "_binary"
            model, seconds = fit(name, images["train" + kind], int(epochs))
            print(
                json.dumps({"name": name, "seconds": seconds, **measure(name, model, images["test" + kind])}),
                flush=True,
            )


def fit(name, images, epochs):
    """Train a model by pythae's trainer: the model, and the median of the epochs' seconds but the first."""
    loss = {} if name in WITHOUT_LIKELIHOOD else {"reconstruction_loss": "bce"}
    config = getattr(library, f"{name}_Config" if name == "WAE_MMD" else f"{name}Config")
    model = getattr(library, name)(config(input_dim=(1, 28, 28), latent_dim=16, **loss, **OPTIONS[name]))
    data = BaseDataset(torch.tensor(images.reshape(-1, 1, 28, 28)), torch.zeros(len(images)))
    settings = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        num_epochs=epochs,
        learning_rate=1e-3,
        per_device_train_batch_size=100,
        train_dataloader_num_workers=0,
        no_cuda=True,
    )
    trainer = BaseTrainer(model=model, train_dataset=data, training_config=settings, callbacks=None)
    trainer.prepare_training()
    times = []
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        trainer.train_step(epoch)
        times.append(time.perf_counter() - began)
    return model.eval(), statistics.median(times[1:])


@torch.no_grad()
def measure(name, model, images):
    """Measure the squared error of reconstructions from the code's mean, and the likelihood."""
    x = torch.tensor(images.reshape(-1, 1, 28, 28))
    code = model.encoder(x)
    made = model.decoder(code.embedding)["reconstruction"].reshape(x.shape)
    figures = {"squared_error": ((made - x) ** 2).sum(dim=(1, 2, 3)).mean().item()}
    if name not in WITHOUT_LIKELIHOOD:
        figures["nll"] = torch.cat([nll(model, part) for part in x[:1000].split(50)]).mean().item()
    return figures


def nll(model, x):
    """Estimate −log p(x) of a batch by importance sampling, as Burda et al. do, in the formula and not by pythae."""
    code = model.encoder(x)
    normal = torch.distributions.Normal(code.embedding, torch.exp(0.5 * code.log_covariance))
    z = normal.sample((SAMPLES,))
    flat = z.reshape(-1, z.shape[-1])
    p = model.decoder(flat)["reconstruction"].reshape(SAMPLES, len(x), -1).clamp(1e-7, 1 - 1e-7)
    target = x.reshape(len(x), -1)
    log_x = (target * p.log() + (1 - target) * (1 - p).log()).sum(-1)
    log_w = log_x + log_prior(model, flat).reshape(SAMPLES, len(x)) - normal.log_prob(z).sum(-1)
    return np.log(SAMPLES) - torch.logsumexp(log_w, dim=0)


def log_prior(model, z):
    """Compute log p(z): of a standard normal, or of the mixture of posteriors of pseudo-inputs."""
    if not hasattr(model, "pseudo_inputs"):
        return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    code = model.encoder(model.pseudo_inputs(model.idle_input).reshape(-1, 1, 28, 28))
    normal = torch.distributions.Normal(code.embedding, torch.exp(0.5 * code.log_covariance))
    each = normal.log_prob(z[:, None]).sum(-1)
    return torch.logsumexp(each, dim=1) - np.log(each.shape[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
