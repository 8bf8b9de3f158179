"""The catalogue: one row of plain data for every model, read without TensorFlow.

The command line, `kerasae list`, README's table and Keras's registry are made from it. To add a variant, write its
class, its row here, and its row in `tests/cases.py`.
"""

import importlib
from dataclasses import dataclass

CAPABILITIES = ("generative", "has_likelihood", "has_tokens", "has_free_energy", "may_be_conditional", "infers_labels")
"""Capability attributes of a model class."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Describe a model: the facts by which a user chooses one.

    Attributes:
        command: arguments of `kerasae` that train it; `train NAME` where one encoder and one decoder suffice.
        target: "module:Class".
        family: the idea that its rows in the table share.
        paper: authors, where and when.
        equation: the training loss, in one line.
        units: unit of its terms.
        example: a command that trains it.
        capabilities: the names in `CAPABILITIES` that are true of the class.
        networks: builders of `kerasae.networks` for its encoder and decoder; none if it is made of other models.
        posterior: the builders' argument of this name; None if the encoder outputs the code itself.
    """

    command: str
    target: str
    family: str
    paper: str
    equation: str
    units: str
    example: str
    capabilities: tuple[str, ...] = ()
    networks: tuple[str, ...] = ("dense", "conv", "convnext")
    posterior: str | None = None

    @property
    def module(self) -> str:
        """Dotted name of the class's module."""
        return self.target.partition(":")[0]

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.target.partition(":")[2]

    def load(self) -> type:
        """Import and return the class; this imports TensorFlow."""
        return getattr(importlib.import_module(self.module), self.name)


ROWS = (
    Row(
        command="train plain",
        target="kerasae.models.contract.base:Autoencoder",
        family="deterministic",
        paper="Hinton and Salakhutdinov, Science 313 (2006)",
        equation="−log p(x given z), z = encode(x)",
        units="nats",
        capabilities=("has_likelihood", "may_be_conditional"),
        example="kerasae train plain --code 32 --widths 512",
    ),
    Row(
        command="train denoising",
        target="kerasae.models.deterministic:DenoisingAutoencoder",
        family="deterministic",
        paper="Vincent et al., JMLR 11 (2010), eq. 8",
        equation="−log p(x given z), z = encode(corrupted x)",
        units="nats",
        capabilities=("has_likelihood", "may_be_conditional"),
        example="kerasae train denoising --corruption gaussian --corruption-level 0.5",
    ),
    Row(
        command="train contractive",
        target="kerasae.models.contractive:ContractiveAutoencoder",
        family="deterministic",
        paper="Rifai et al., ICML 2011",
        equation="−log p(x given z) + λ ‖∂z/∂x‖², z = encode(x)",
        units="nats",
        capabilities=("has_likelihood", "may_be_conditional"),
        example="kerasae train contractive --code 256 --widths --options.contraction-weight 0.1",
    ),
    Row(
        command="train semantic-hashing",
        target="kerasae.models.semantic_hashing:SemanticHashingAutoencoder",
        family="deterministic",
        paper="Salakhutdinov and Hinton, Int. J. Approximate Reasoning 50 (2009)",
        equation="−log p(x given z), z = sigmoid(encode(x) + noise), which makes bits of z",
        units="nats",
        capabilities=("has_likelihood", "may_be_conditional"),
        example="kerasae train semantic-hashing --code 32 --neighbours 10 --augment affine",
    ),
    Row(
        command="train autorec",
        target="kerasae.models.ratings:AutoRec",
        family="deterministic",
        paper="Sedhain et al., WWW 2015, eq. 1",
        equation="−log p(known ratings given z), z = encode(known ratings)",
        units="nats",
        capabilities=("has_likelihood", "may_be_conditional"),
        networks=("dense",),
        example="kerasae train autorec --code 500 --likelihood gaussian",
    ),
    Row(
        command="train recurrent",
        target="kerasae.models.recurrent:RecurrentAutoencoder",
        family="deterministic",
        paper="Srivastava et al., arXiv 1502.04681, section 2.1",
        equation="−log p(steps of x given z), z = encode(steps of x), padding left out",
        units="nats",
        capabilities=("has_likelihood", "may_be_conditional"),
        networks=("lstm", "gru", "transformer"),
        example="kerasae train recurrent --network lstm --code 8 --widths 64 --likelihood gaussian",
    ),
    Row(
        command="train variational",
        target="kerasae.models.variational:VariationalAutoencoder",
        family="variational",
        paper="Kingma and Welling, arXiv 1312.6114, eq. 10",
        equation="−E log p(x given z) + β KL(q(z given x), p(z)), free bits",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional"),
        posterior="gaussian",
        example="kerasae train variational --network conv --code 16 --options.beta 4",
    ),
    Row(
        command="train importance-weighted",
        target="kerasae.models.importance_weighted:ImportanceWeightedAutoencoder",
        family="variational",
        paper="Burda et al., arXiv 1509.00519, eq. 8",
        equation="−E log (1/K) Σ_k p(x, z_k) / q(z_k given x)",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional"),
        posterior="gaussian",
        example="kerasae train importance-weighted --code 50 --options.samples 5",
    ),
    Row(
        command="train total-correlation",
        target="kerasae.models.total_correlation:TotalCorrelationAutoencoder",
        family="variational",
        paper="Chen et al., arXiv 1802.04942, eq. 4",
        equation="−E log p(x given z) + β KL(q(z given x), p(z)) + γ KL(q(z), Π q(z_j)), q(z) of the batch",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional"),
        posterior="gaussian",
        example="kerasae train total-correlation --code 10 --options.gamma 5",
    ),
    Row(
        command="train information",
        target="kerasae.models.information:InfoVariationalAutoencoder",
        family="variational",
        paper="Zhao et al., arXiv 1706.02262, eq. 6",
        equation="−E log p(x given z) + β KL(q(z given x), p(z)) + λ MMD²(q(z), p(z))",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional"),
        posterior="gaussian",
        example="kerasae train information --code 10 --options.mmd-weight 1000",
    ),
    Row(
        command="train gaussian-wasserstein",
        target="kerasae.models.gaussian_wasserstein:GaussianWassersteinAutoencoder",
        family="wasserstein",
        paper="Dowson and Landau, J. Multivariate Analysis 12 (1982), eq. 4",
        equation="−log p(x given z) + λ W₂²(Gaussian of all codes, p(z)), z = encode(x)",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional"),
        example="kerasae train gaussian-wasserstein --code 8 --likelihood gaussian --options.w2-weight 10",
    ),
    Row(
        command="train adversarial",
        target="kerasae.models.adversarial:AdversarialAutoencoder",
        family="adversarial",
        paper="Makhzani et al., arXiv 1511.05644, section 2",
        equation="−log p(x given z) − w log D(z), against a discriminator D of codes",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional"),
        example="kerasae train adversarial --code 8 --options.adversarial-weight 0.5",
    ),
    Row(
        command="train adversarial-classes",
        target="kerasae.models.adversarial_classes:SemiSupervisedAdversarialAutoencoder",
        family="adversarial",
        paper="Makhzani et al., arXiv 1511.05644, section 5",
        equation="−log p(x given y, z) − w log D_y(y) − w log D_z(z) − α log y of the known class, against D_y and D_z",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional", "infers_labels"),
        networks=("dense", "conv"),
        example="kerasae train adversarial-classes --data tfds:mnist --labels 100",
    ),
    Row(
        command="train conditional-adversarial",
        target="kerasae.models.conditional_adversarial:ConditionalAdversarialAutoencoder",
        family="adversarial",
        paper="Zhang, Song and Qi, arXiv 1702.08423, eq. 1 to 3",
        equation="mean abs(x − x̂) − w₀ log D_img(x̂, y) − w₁ log D_z(z) + w₂ TV(x̂), against D_img and D_z",
        units="absolute error",
        capabilities=("generative", "has_likelihood", "may_be_conditional"),
        networks=("dense", "conv"),
        example="kerasae train conditional-adversarial --network conv --code 8",
    ),
    Row(
        command="train vae-gan",
        target="kerasae.models.vae_gan:AdversarialVariationalAutoencoder",
        family="adversarial",
        paper="Larsen et al., arXiv 1512.09300, algorithm 1",
        equation="β KL(q(z given x), p(z)) + ½‖f(x) − f(x̃)‖², f features of a discriminator that the decoder deceives",
        units="nats",
        capabilities=("generative", "has_likelihood"),
        networks=("dense", "conv"),
        posterior="gaussian",
        example="kerasae train vae-gan --code 16 --options.gamma 0.1",
    ),
    Row(
        command="train factor",
        target="kerasae.models.factor:FactorVariationalAutoencoder",
        family="variational",
        paper="Kim and Mnih, arXiv 1802.05983, eq. 2",
        equation="−E log p(x given z) + β KL(q(z given x), p(z)) + γ E[log D(z) − log(1 − D(z))], D of codes",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional"),
        posterior="gaussian",
        example="kerasae train factor --code 10 --options.gamma 6",
    ),
    Row(
        command="train semi-supervised",
        target="kerasae.models.semi_supervised:SemiSupervisedVariationalAutoencoder",
        family="variational",
        paper="Kingma, Rezende, Mohamed and Welling, arXiv 1406.5298, eq. 6 to 9",
        equation="−E log p(x given y, z) + KL(q(y, z given x), p(y) p(z)) − α log q(known y given x)",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional", "infers_labels"),
        networks=("dense", "conv"),
        posterior="gaussian",
        example="kerasae train semi-supervised --data tfds:mnist --labels 100",
    ),
    Row(
        command="train wasserstein",
        target="kerasae.models.wasserstein:WassersteinAutoencoder",
        family="wasserstein",
        paper="Tolstikhin et al., arXiv 1711.01558, algorithm 2",
        equation="−log p(x given z) + λ MMD²(q(z), p(z)), z = encode(x)",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional"),
        example="kerasae train wasserstein --code 8 --likelihood gaussian --options.mmd-weight 30",
    ),
    Row(
        command="train sparse",
        target="kerasae.models.sparse:SparseAutoencoder",
        family="sparse",
        paper="Ng, CS294A lecture notes, section 3",
        equation="−log p(x given z) + β Σ KL(ρ, mean z over the batch), sigmoid codes",
        units="nats",
        capabilities=("has_likelihood", "may_be_conditional"),
        example="kerasae train sparse --code 200 --widths --options.target-activity 0.1",
    ),
    Row(
        command="train k-sparse",
        target="kerasae.models.k_sparse:KSparseAutoencoder",
        family="sparse",
        paper="Makhzani and Frey, arXiv 1312.5663, section 2.1",
        equation="−log p(x given z), z = the k largest units of encode(x)",
        units="nats",
        capabilities=("has_likelihood", "may_be_conditional"),
        example="kerasae train k-sparse --code 1000 --widths --options.k 25 --anneal.k 100",
    ),
    Row(
        command="train dictionary",
        target="kerasae.models.dictionary:SparseDictionary",
        family="sparse",
        paper="Gao et al., arXiv 2406.04093, section 2.3",
        equation="‖x − W z − b‖² + α ‖e − W z of dead latents‖², z of about k active latents (three activations)",
        units="squared error",
        networks=(),
        example="kerasae train dictionary --code 1024 --options.activation batch-top-k --options.k 32",
    ),
    Row(
        command="train predictive-sparse",
        target="kerasae.models.predictive_sparse:PredictiveSparseDecomposition",
        family="sparse",
        paper="Kavukcuoglu et al., arXiv 1010.3467, eq. 3",
        equation="‖x − z B‖² + λ ‖z‖₁ + α ‖z − f(x)‖² at the z of least loss, f(x) = g tanh(x W + d)",
        units="squared error",
        networks=(),
        example="kerasae train predictive-sparse --code 256 --options.sparsity-weight 0.5",
    ),
    Row(
        command="train vector-quantized",
        target="kerasae.models.vector_quantized:VectorQuantizedAutoencoder",
        family="vector-quantised",
        paper="Van den Oord et al., arXiv 1711.00937, eq. 3",
        equation="−log p(x given e) + β ‖z − e‖², e the entry of a running codebook nearest to z = encode(x)",
        units="nats",
        capabilities=("has_likelihood", "may_be_conditional"),
        example="kerasae train vector-quantized --code 16 --options.entries 128",
    ),
    Row(
        command="prior",
        target="kerasae.models.code_prior:CodePriorAutoencoder",
        family="vector-quantised",
        paper="Van den Oord et al., arXiv 1711.00937, section 3.3",
        equation="−Σ_t log p(i_t given i_1 … i_{t−1}), i the indices of a frozen quantised autoencoder",
        units="nats",
        capabilities=("generative", "has_likelihood", "may_be_conditional"),
        networks=(),
        example="kerasae prior runs/vector-quantized --width 128 --depth 3",
    ),
    Row(
        command="train rbm",
        target="kerasae.models.boltzmann:RestrictedBoltzmannMachine",
        family="energy",
        paper="Hinton, Neural Computation 14 (2002), eq. 5",
        equation="F(v₀) − F(v_k), F the free energy, v_k from k turns of Gibbs sampling",
        units="nats",
        capabilities=("generative", "has_likelihood", "has_free_energy"),
        networks=(),
        example="kerasae train rbm --code 256 --options.centring 0.01 --optimizer sgd --learning-rate 0.05",
    ),
    Row(
        command="train gsn",
        target="kerasae.models.stochastic:GenerativeStochasticNetwork",
        family="energy",
        paper="Bengio et al., arXiv 1306.1091, section 3",
        equation="−log p(x given x̃_t), mean over the steps t of a chain that corrupts, encodes, decodes and draws",
        units="nats",
        capabilities=("generative", "has_likelihood"),
        example="kerasae train gsn --code 1000 --widths --corruption salt_and_pepper --corruption-level 0.4",
    ),
    Row(
        command="train recirculation",
        target="kerasae.models.recirculation:Recirculation",
        family="energy",
        paper="Hinton and McClelland, NIPS 1987",
        equation="−log p(x given z), by ΔW = h₁ (y₀ − y₂) and ΔV = y₂ (h₁ − h₃) in place of its gradient",
        units="nats",
        capabilities=("has_likelihood",),
        networks=(),
        example="kerasae train recirculation --data onehot:8 --code 3 --optimizer sgd --learning-rate 20",
    ),
    Row(
        command="mae",
        target="kerasae.models.masked:MaskedAutoencoder",
        family="masked",
        paper="He et al., arXiv 2111.06377, section 3",
        equation="mean squared error of hidden patches",
        units="squared error",
        capabilities=("has_tokens",),
        networks=("vit",),
        example="kerasae mae --patch 2 --mask-ratio 0.75 --no-flip",
    ),
    Row(
        command="mae --decoder cross",
        target="kerasae.models.cross_masked:CrossMaskedAutoencoder",
        family="masked",
        paper="Fu et al., arXiv 2401.14391, section 3",
        equation="mean squared error of a part of the hidden patches, by cross-attention",
        units="squared error",
        capabilities=("has_tokens",),
        networks=("vit",),
        example="kerasae mae --decoder cross --patch 2 --prediction-ratio 0.25",
    ),
    Row(
        command="mae --decoder linear",
        target="kerasae.models.simmim:SimMIM",
        family="masked",
        paper="Xie et al., arXiv 2111.09886, section 3",
        equation="mean absolute error of hidden patches, mask tokens in the encoder",
        units="absolute error",
        capabilities=("has_tokens",),
        networks=("vit",),
        example="kerasae mae --decoder linear --patch 2 --mask-ratio 0.6",
    ),
    Row(
        command="mae --network convnext",
        target="kerasae.models.convolutional_masked:ConvolutionalMaskedAutoencoder",
        family="masked",
        paper="Woo et al., arXiv 2301.00808, section 3",
        equation="mean squared error of hidden patches, which stay empty in a convolutional encoder",
        units="squared error",
        capabilities=("has_tokens",),
        networks=("convnext", "vgg"),
        example="kerasae mae --network convnext --patch 4 --mask-ratio 0.6",
    ),
    Row(
        command="stacked",
        target="kerasae.models.stacked:StackedAutoencoder",
        family="stacked",
        paper="Vincent et al., JMLR 11 (2010), section 4",
        equation="the variant's objective for every layer, on the codes of the layer below; then −log p(x given z)",
        units="nats",
        capabilities=("has_likelihood",),
        networks=(),
        example="kerasae stacked --widths 512 256 --variant denoising",
    ),
    Row(
        command="stacked --variant rbm",
        target="kerasae.models.deep_belief:DeepBeliefNetwork",
        family="energy",
        paper="Hinton, Osindero and Teh, Neural Computation 18 (2006), section 4",
        equation="F(v₀) − F(v_k) for every layer, on the probabilities of the layer below; then −log p(x given z)",
        units="nats",
        capabilities=("generative", "has_likelihood"),
        networks=(),
        example="kerasae stacked --variant rbm --widths 500 500",
    ),
    Row(
        command="finetune",
        target="kerasae.models.classifier:Classifier",
        family="supervised",
        paper="Szegedy et al., arXiv 1512.00567, section 7",
        equation="−Σ t log softmax(W encode(x) + b), smoothed labels t",
        units="nats",
        networks=(),
        example="kerasae finetune runs/plain --labels 100 --label-smoothing 0.1",
    ),
    Row(
        command="segment",
        target="kerasae.models.segmenter:Segmenter",
        family="supervised",
        paper="He et al., arXiv 2111.06377, section 4.4 (a head for every pixel on pretrained tokens)",
        equation="−Σ w_y log softmax(head(tokens(x)))_y over the labelled pixels",
        units="nats per pixel",
        networks=(),
        example="kerasae segment runs/mae --data folder:photos --masks masks --labels 100",
    ),
)


def trained() -> dict[str, Row]:
    """Map the NAME of each `kerasae train NAME` to its row."""
    commands = ((row.command.split(" "), row) for row in ROWS)
    return {words[1]: row for words, row in commands if words[0] == "train"}


def families() -> dict[str, list[Row]]:
    """Group the rows by family, both in the order of the catalogue."""
    found = {}
    for row in ROWS:
        found.setdefault(row.family, []).append(row)
    return found


def table() -> str:
    """Format the catalogue as README's table, family by family, in Markdown."""
    rows = [("family", "`kerasae …`", "class", "what it minimises", "unit", "paper")]
    for family, members in families().items():
        cells = [(f"`{row.command}`", f"`{row.name}`", row.equation, row.units, row.paper) for row in members]
        rows += [(name, *row) for name, row in zip([family] + [""] * (len(cells) - 1), cells, strict=True)]
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])
