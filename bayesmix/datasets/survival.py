"""Survival data with competing events, prepared from the R package survival."""

from bayesmix.datasets.catalogue import Column, Dataset

_SURVIVAL = "Prepared from the R package survival 3.5-3"

_YEARS = Column("years", "analysis time", "years")
_STATUS = Column("status", "1 when the follow-up ends in an event, 0 when right-censored")

_JASA_SOURCE = (
    "J. Crowley and M. Hu (1977), Covariance analysis of heart transplant survival data, Journal "
    "of the American Statistical Association 72, 27-36; M. G. Larson and G. E. Dinse (1985), A "
    "mixture model for the regression analysis of competing risks data, Applied Statistics 34(3), "
    f"201-211. {_SURVIVAL}, survival::jasa."
)


def _jasa_columns(causes: tuple[str, ...]) -> tuple[Column, ...]:
    """Describe the columns of the two heart transplant files; they differ in the causes known."""
    return (
        Column("row", "row number in survival::jasa"),
        Column("post_days", "transplant to death or end of follow-up, 1 April 1974", "days"),
        Column("time", "post_days, with the single 0 replaced by half a day", "days"),
        Column("years", "time / 365.25", "years"),
        _STATUS,
        Column(
            "event",
            "cause of death; missing when alive or when the cause is unknown",
            levels=("other", "rejection"),
        ),
        Column("cause", "the event with the reason for a missing one", levels=causes),
        Column("age", "age at acceptance", "years"),
        Column("age10", "(age - 45) / 10", "decades"),
        Column("age_tx", "age at transplant", "years"),
        Column("surgery", "prior bypass surgery, 0 or 1"),
        Column("wait_time", "acceptance to transplant", "days"),
        Column("mscore", "mismatch score"),
        Column("mismatch", "number of mismatched antigens, 0 to 4"),
        Column("hla_a2", "HLA-A2 mismatch, 0 or 1"),
        Column("tx_year", "1 October 1967 to transplant", "years"),
    )


SURVIVAL: tuple[Dataset, ...] = (
    Dataset(
        "mgus2",
        1384,
        "Monoclonal gammopathy of undetermined significance: 115 patients went on to a plasma "
        "cell malignancy (pcm), 860 died before one, 409 are censored.",
        "R. A. Kyle, T. M. Therneau, S. V. Rajkumar, J. R. Offord, D. R. Larson, M. F. Plevak and "
        "L. J. Melton III (2002), A long-term study of prognosis in monoclonal gammopathy of "
        "undetermined significance, New England Journal of Medicine 346, 564-569. "
        f"{_SURVIVAL}, survival::mgus2.",
        (
            Column("id", "subject"),
            Column(
                "time",
                "diagnosis to the first of plasma cell malignancy, death, last contact",
                "months",
            ),
            Column("years", "time / 12", "years"),
            _STATUS,
            Column("event", "what happened first; missing when censored", levels=("death", "pcm")),
            Column("age", "age at diagnosis", "years"),
            Column("age10", "(age - 70) / 10", "decades"),
            Column("sex", "sex", levels=("F", "M")),
            Column("hgb", "haemoglobin", "g/dl"),
            Column("creat", "creatinine", "mg/dl"),
            Column("mspike", "size of the monoclonal serum spike", "g/dl"),
            Column("dxyr", "calendar year of diagnosis"),
            Column("ptime", "diagnosis to plasma cell malignancy or last contact", "months"),
            Column("pstat", "plasma cell malignancy, 0 or 1"),
            Column("futime", "diagnosis to death or last contact", "months"),
            Column("death", "death, 0 or 1"),
        ),
    ),
    Dataset(
        "jasa_transplanted",
        69,
        "Stanford heart transplant programme, all 69 transplanted patients. The four without a "
        "mismatch score died of a cause not recorded: status 1 and event missing.",
        _JASA_SOURCE,
        _jasa_columns(("censored", "other", "rejection", "unknown")),
    ),
    Dataset(
        "jasa_larson_dinse",
        65,
        "Stanford heart transplant programme, the 65 transplanted patients with a mismatch "
        "score: 29 rejection deaths, 12 other deaths, 24 alive.",
        _JASA_SOURCE,
        _jasa_columns(("censored", "other", "rejection")),
    ),
    Dataset(
        "pbc",
        418,
        "Mayo Clinic trial in primary biliary cholangitis: 161 patients died, 25 had a "
        "transplant first, 232 are censored.",
        "T. M. Therneau and P. M. Grambsch (2000), Modeling Survival Data: Extending the Cox "
        "Model, Springer; T. R. Fleming and D. P. Harrington (1991), Counting Processes and "
        f"Survival Analysis, Wiley, appendix D. {_SURVIVAL}, survival::pbc.",
        (
            Column("id", "case number"),
            Column("time", "registration to the first of death, transplant, July 1986", "days"),
            Column("years", "time / 365.25", "years"),
            _STATUS,
            Column(
                "event",
                "what happened first; missing when censored",
                levels=("death", "transplant"),
            ),
            Column("status_orig", "0 censored, 1 transplant, 2 dead"),
            Column("trt", "1 D-penicillamine, 2 placebo; missing when not randomised"),
            Column("age", "age", "years"),
            Column("age10", "(age - 50) / 10", "decades"),
            Column("sex", "sex", levels=("f", "m")),
            Column("ascites", "presence of ascites, 0 or 1"),
            Column("hepato", "enlarged liver, 0 or 1"),
            Column("spiders", "vascular malformations in the skin, 0 or 1"),
            Column("edema", "0 none, 0.5 untreated or successfully treated, 1 despite diuretics"),
            Column("bili", "serum bilirubin", "mg/dl"),
            Column("log_bili", "natural log of bili", "log of mg/dl"),
            Column("chol", "serum cholesterol", "mg/dl"),
            Column("albumin", "serum albumin", "g/dl"),
            Column("copper", "urine copper", "ug/day"),
            Column("alk_phos", "alkaline phosphatase", "U/l"),
            Column("ast", "aspartate aminotransferase", "U/ml"),
            Column("trig", "triglycerides", "mg/dl"),
            Column("platelet", "platelets", "1000 per ml"),
            Column("protime", "clotting time", "s"),
            Column("stage", "histologic stage, 1 to 4"),
        ),
    ),
)
