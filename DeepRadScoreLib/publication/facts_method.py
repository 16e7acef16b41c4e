"""Facts on how a study was made, as sentences for the checklists; None where the program does not know.

Facts on the results are in `facts_results`. With a feature table from elsewhere nothing is known of regions, images and
extraction.
"""

from __future__ import annotations

from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.models import DEEP_MODELS, MODELS, Engine, NetworkForm, Preprocessing
from DeepRadScoreLib.provenance import ENGINE_PACKAGES
from DeepRadScoreLib.publication.sentences import model_name
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, FEATURES_OF_CLASS, REGIONS
from DeepRadScoreLib.radscore.pyradiomics_engine import SETTINGS
from DeepRadScoreLib.radscore.selection import MAX_CORRELATION, MAX_P, MIN_ICC
from DeepRadScoreLib.study.results.study import Study

ENGINE_WORDS: dict[Engine, str] = {
    Engine.OWN: "Computed by DeepRadScore with the definitions of pyradiomics",
    Engine.PYRADIOMICS: "Computed by pyradiomics",
}
FINE_TUNED = (NetworkForm.SHARED, NetworkForm.PER_ENDPOINT)


def has_radscores(study: Study) -> bool:
    """Whether any RadScore was fitted."""
    return any(len(fold.selected) for _, fold in study.each_fold())


def has_networks(study: Study) -> bool:
    """Whether any model with deep features was fitted."""
    return any(fit.model in DEEP_MODELS for _, fold in study.each_fold() for fit in fold.fits)


def trains_end_to_end(study: Study) -> bool | None:
    """Whether a network was trained from the image to the endpoint; None where the settings do not say."""
    if not has_networks(study):
        return False
    form = study.settings.get("network")
    return None if form is None else form in FINE_TUNED


def _preprocessing(study: Study) -> str | None:
    return None if study.settings.get("features") else study.settings.get("preprocessing")


def preprocessing(study: Study) -> str | None:
    if _preprocessing(study) == Preprocessing.CANONICAL:
        return (
            "Canonical frame: axes in LPS order, geometry rounded, one isotropic 1 mm lattice per case, CT values "
            "rounded to whole HU; no normalisation."
        )
    if _preprocessing(study) == Preprocessing.PYRADIOMICS:
        return "The files as stored, resampled by pyradiomics; no normalisation."
    return None


def resampling(study: Study) -> str | None:
    text = "1 x 1 x 1 mm; CT by cubic B-spline, masks by nearest neighbour."
    return text if _preprocessing(study) else None


def discretisation(study: Study) -> str | None:
    text = f"Fixed bin width of {SETTINGS['binWidth']} HU."
    return text if _preprocessing(study) else None


def image_types(study: Study) -> str | None:
    text = f"Original, and the 8 sub-bands of one level of the {SETTINGS['wavelet']} wavelet in three dimensions."
    return text if _preprocessing(study) else None


def remaining_parameters(study: Study) -> str | None:
    text = f"voxelArrayShift {SETTINGS['voxelArrayShift']}; all other parameters are pyradiomics' defaults."
    return text if _preprocessing(study) else None


def extraction_software(study: Study) -> str | None:
    if not _preprocessing(study):
        return None
    engine = Engine(study.settings.get("engine") or Engine.PYRADIOMICS)
    found = [f"{name} {study.versions[name]}" for name in ENGINE_PACKAGES[engine] if name in study.versions]
    return f"{ENGINE_WORDS[engine]}: {', '.join(found)}." if found else None


def feature_classes(study: Study) -> str | None:
    text = ", ".join(f"{name} ({len(features)})" for name, features in FEATURES_OF_CLASS.items()) + "."
    return text if _preprocessing(study) else None


def features_screened(study: Study) -> int | None:
    """How many features of a case the RadScores chose from; None where there are none or the number is not known."""
    if not has_radscores(study):
        return None
    return study.settings.get("feature_columns", None if _preprocessing(study) is None else len(FEATURE_COLUMNS))


def feature_count(study: Study) -> str | None:
    text = f"{len(FEATURE_COLUMNS) // len(REGIONS)} per region, {len(FEATURE_COLUMNS)} per case."
    return text if _preprocessing(study) else None


def regions(study: Study) -> str | None:
    shell = study.settings.get("shell_mm")
    if _preprocessing(study) is None or shell is None:
        return None
    return (
        f"Tumour: the mask of the cohort table, taken as it is. Peritumoral: the shell of {shell:g} mm around it by "
        "exact Euclidean distance, other labelled tumours taken out. Deep features: 160 x 160 pixels of the slice with "
        "the largest tumour area."
    )


def single_ct(study: Study) -> str | None:
    return "One CT of each case is the only imaging input." if _preprocessing(study) else None


def network(study: Study) -> str | None:
    if not has_networks(study):
        return "No network was used."
    known = [study.settings.get(name) for name in ("backbone", "network", "weights")]
    if None in known:
        return None
    return "Network: {} ({}), starting weights: {}.".format(*known)


def covariates(study: Study) -> str | None:
    if "covariates" not in study.settings:
        return None
    names = study.settings["covariates"]
    return f"Clinical baseline: {', '.join(names)}." if names else "None were named; there is no clinical baseline."


def endpoint_rules(study: Study) -> str | None:
    known = [BY_KEY[key] for key in study.flow if key in BY_KEY]
    others = [key for key in study.flow if key not in BY_KEY]
    texts = [f"{endpoint.key}: 1 {endpoint.positive}, 0 {endpoint.negative}" for endpoint in known]
    return "; ".join([*texts, *(f"{key}: a 0/1 column of the cohort table" for key in others)]) + "."


def input_files(study: Study) -> str | None:
    listed = ", ".join(f"{name} (SHA-256 {value[:12]}...)" for name, value in study.hashes.items())
    return f"Read from {listed}." if listed else None


def missing_data(study: Study) -> str | None:
    text = "A patient without a label is left out of that endpoint alone; a case that cannot be computed is left out."
    if study.settings.get("covariates"):
        text += " Missing covariates: median of the training part, for categories a level of their own."
    return text


def scaling(study: Study) -> str | None:
    text = "Z-scores with mean and SD of each training part, applied unchanged to its test part."
    return text if has_radscores(study) else None


def selection(study: Study) -> str | None:
    if not has_radscores(study):
        return None
    return (
        f"Inside each training part: zero variance; ICC(3,1) >= {MIN_ICC} where second masks exist; Mann-Whitney "
        f"p < {MAX_P} (the best 10 if fewer); |r| > {MAX_CORRELATION}; LASSO logistic regression by "
        "cross-validation, or the best single feature under 15 events. What was chosen: selected_features."
    )


def classifiers(study: Study) -> str | None:
    names = _classifier_names(study)
    if not names:
        return None
    models = dict.fromkeys(fit.model for _, fold in study.each_fold() for fit in fold.fits)
    ran = ", ".join(model_name(model) for model in MODELS if model in models)
    return f"{ran}: {', '.join(names)}."


def _classifier_names(study: Study) -> list[str]:
    fits = (fit for _, fold in study.each_fold() for fit in fold.fits if fit.model in MODELS)
    return list(dict.fromkeys(name for fit in fits for name in fit.cv_auc))


def tuning(study: Study) -> str | None:
    text = "Hyper-parameters: one 5-fold search by AUC inside each training part."
    return text if _classifier_names(study) else None


def no_updating(study: Study) -> str | None:
    return "No earlier model was updated." if study.folds else None


def predictions(study: Study) -> str | None:
    text = "By the models of the training part that the patient was not in; every one is in predictions.csv."
    return text if study.folds else None


def program(study: Study) -> str | None:
    version = study.versions.get("DeepRadScore")
    return f"Analysed with DeepRadScore {version} (Apache-2.0)." if version else None


def settings_listed(study: Study) -> str | None:
    return "All settings and versions are in results.json." if study.settings else None


def checklists_printed(study: Study) -> str | None:
    return "TRIPOD+AI, CLEAR and METRICS, with what the program knows filled in."


def seed(study: Study) -> str | None:
    value = study.settings.get("seed")
    return None if value is None else f"Seed {value}."
