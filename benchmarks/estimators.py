"""Compare the scikit-learn estimators with what a doubter would run, on scikit-learn's digits and breast cancer.

    python benchmarks/estimators.py labels digits      # all labels: a grid search for every method, minutes
    python benchmarks/estimators.py few                # 5 labels per class, the other rows unlabelled
    python benchmarks/estimators.py anomalies          # trained on normal rows, area under the ROC curve

Every figure is a mean over splits of rows into 70 % and 30 %, ± the standard deviation over them. Grids are searched
by 3-fold cross-validation within the 70 %; where there is no grid, all methods have their default settings.
"""

import sys
import tempfile

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC, OneClassSVM

from kerasae.sklearn import AnomalyDetector, AutoencoderClassifier, AutoencoderTransformer

DATA = {"digits": load_digits, "breast_cancer": load_breast_cancer}
SPLITS = {"labels": 2, "few": 5, "anomalies": 3}
C = [0.01, 0.1, 1.0, 10.0]


def logistic(**options):
    return LogisticRegression(max_iter=2000, **options)


def searches(seed, folder):
    """Methods and grids of `labels`."""
    ours = AutoencoderTransformer(random_state=seed)
    with_codes = make_pipeline(StandardScaler(), ours, StandardScaler(), logistic(), memory=folder)
    steps = {"autoencodertransformer__code": [16, 64]}
    with_pca = make_pipeline(StandardScaler(), PCA(), logistic())
    return {
        "autoencoder → logistic regression": (with_codes, steps | {"logisticregression__C": C}),
        "PCA → logistic regression": (with_pca, {"pca__n_components": [8, 16, 0.99], "logisticregression__C": C}),
        "logistic regression": (make_pipeline(StandardScaler(), logistic()), {"logisticregression__C": C}),
        "SVC": (make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1, 10, 100], "svc__gamma": ["scale", 0.01]}),
    }


def with_all_labels(name, seed):
    """Accuracy of each method with all labels of the 70 %."""
    x, y = DATA[name](return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for method, (model, grid) in searches(seed, folder).items():
            search = GridSearchCV(model, grid, cv=3).fit(x, y)
            found[method] = search.score(x_test, y_test)
    return found


def with_few_labels(name, seed, per_class=5):
    """Accuracy of each method with a few labels per class; methods that can, see the other rows too."""
    x, y = DATA[name](return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
    partly = np.full_like(y, -1)
    for k in np.unique(y):
        partly[np.flatnonzero(y == k)[:per_class]] = k
    known = partly >= 0
    all_rows = {
        "AutoencoderClassifier": AutoencoderClassifier(random_state=seed),
        "LabelSpreading, 7 neighbours": make_pipeline(StandardScaler(), LabelSpreading(kernel="knn", max_iter=100)),
    }
    found = {method: model.fit(x, partly).score(x_test, y_test) for method, model in all_rows.items()}
    pca = make_pipeline(StandardScaler(), PCA(min(32, x.shape[1]))).fit(x)
    codes = logistic().fit(pca.transform(x[known]), y[known])
    found["PCA of all rows → logistic regression"] = codes.score(pca.transform(x_test), y_test)
    for method, model in (("logistic regression", logistic()), ("SVC", SVC())):
        scaled = make_pipeline(StandardScaler().fit(x), model)
        found[method] = scaled.fit(x[known], y[known]).score(x_test, y_test)
    return found


def pca_errors(x, x_test):
    """Squared error that the PCA of as many numbers as the autoencoder's code leaves."""
    scaler, pca = StandardScaler().fit(x), PCA(AnomalyDetector().code)
    pca.fit(scaler.transform(x))
    z = scaler.transform(x_test)
    return np.square(z - pca.inverse_transform(pca.transform(z))).sum(axis=1)


def anomalies(name, seed):
    """Area under the ROC curve of each method, a mean over the classes that are taken for normal."""
    x, y = DATA[name](return_X_y=True)
    normal = [1] if name == "breast_cancer" else range(10)  # 1 is benign
    areas = [areas_of(x, y, one, seed) for one in normal]
    return {method: np.mean([area[method] for area in areas]) for method in areas[0]}


def areas_of(x, y, normal, seed):
    """Area under the ROC curve of each method, trained on 70 % of the rows of one class."""
    train, held = train_test_split(x[y == normal], test_size=0.3, random_state=seed)
    x_test = np.concatenate([held, x[y != normal]])
    odd = np.arange(len(x_test)) >= len(held)
    methods = {
        "AnomalyDetector": AnomalyDetector(random_state=seed),
        "IsolationForest": IsolationForest(random_state=seed),
        "OneClassSVM": make_pipeline(StandardScaler(), OneClassSVM()),
    }
    found = {name: roc_auc_score(odd, -model.fit(train).decision_function(x_test)) for name, model in methods.items()}
    return found | {"error of PCA": roc_auc_score(odd, pca_errors(train, x_test))}


def table(measure, names, seeds):
    """Print a row per method and a column per data set, and who wins each."""
    found = {name: [progress(name, seed, measure(name, seed)) for seed in range(seeds)] for name in names}
    print(f"| method | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for method in found[names[0]][0]:
        values = [[row[method] for row in found[name]] for name in names]
        print(f"| {method} | {' | '.join(f'{np.mean(v):.3f} ± {np.std(v):.3f}' for v in values)} |")
    for name, rows in found.items():
        print(f"{name}: {max(rows[0], key=lambda method: np.mean([row[method] for row in rows]))} is best")


def progress(name, seed, figures):
    """Print the figures of one split on stderr, and return them."""
    print(
        name, seed, {method: round(float(value), 3) for method, value in figures.items()}, file=sys.stderr, flush=True
    )
    return figures


if __name__ == "__main__":
    kind, *names = sys.argv[1:]
    measures = {"labels": with_all_labels, "few": with_few_labels, "anomalies": anomalies}
    table(measures[kind], names or list(DATA), SPLITS[kind])
