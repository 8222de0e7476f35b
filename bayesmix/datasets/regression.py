"""The datasets of the flexmix vignette "regression-examples"."""

from bayesmix.datasets.catalogue import Column, Dataset

_FLEXMIX = "Taken from the R package flexmix 2.3-18."

REGRESSION: tuple[Dataset, ...] = (
    Dataset(
        "NregFix",
        200,
        "Artificial Gaussian regression with three latent classes.",
        f"B. Gruen and F. Leisch (2006). {_FLEXMIX}",
        (
            Column("x1", "covariate"),
            Column("x2", "covariate", levels=("0", "1")),
            Column("w", "concomitant variable", levels=("0", "1")),
            Column("y", "response"),
            Column("class", "true class, 1 to 3; not used in fitting"),
        ),
    ),
    Dataset(
        "betablocker",
        44,
        "Deaths in a 22-centre clinical trial of beta-blockers for reducing mortality after "
        "myocardial infarction.",
        "G. McLachlan and D. Peel (2000), Finite Mixture Models, Wiley; M. Aitkin (1999), "
        "Statistics in Medicine 18, 2343-2351; S. Yusuf, R. Peto, J. Lewis, R. Collins and "
        f"P. Sleight (1985), Progress in Cardiovascular Diseases 27, 335-371. {_FLEXMIX}",
        (
            Column("Deaths", "number of deaths"),
            Column("Total", "number of patients"),
            Column("Center", "clinical centre, 1 to 22; two rows each"),
            Column("Treatment", "arm of the trial", levels=("Control", "Treated")),
        ),
    ),
    Dataset(
        "Mehta",
        44,
        "Responses by arm in a 22-centre clinical trial.",
        "M. Aitkin (1999), Statistics in Medicine 18, 2343-2351; C. R. Mehta, N. R. Patel and "
        "P. Senchaudhuri (1988), Journal of the American Statistical Association 83, 999-1005. "
        f"{_FLEXMIX}",
        (
            Column("Response", "number of responses"),
            Column("Total", "number of patients"),
            Column("Drug", "arm of the trial", levels=("New", "Control")),
            Column(
                "Site", "centre; two rows each", levels=tuple(str(site) for site in range(1, 23))
            ),
        ),
    ),
    Dataset(
        "tribolium",
        27,
        "Eggs left uneaten, of 50, by adult flour beetles (Tribolium castaneum).",
        "P. Wang and M. L. Puterman (1998), Mixed logistic regression models, Journal of "
        f"Agricultural, Biological, and Environmental Statistics 3(2), 175-200. {_FLEXMIX}",
        (
            Column("Remaining", "eggs remaining after two days"),
            Column("Total", "eggs presented"),
            Column("Replicate", "occasion of the experiment", levels=("1", "2", "3")),
            Column("Species", "species of the eggs", levels=("Castaneum", "Confusum", "Madens")),
        ),
    ),
    Dataset(
        "trypanosome",
        426,
        "Dosage response of trypanosomes, one row per organism.",
        "R. Ashford and P. J. Walker (1972), Quantal response analysis for a mixture of "
        "populations, Biometrics 28, 981-988; D. A. Follmann and D. Lambert (1989), Journal of "
        f"the American Statistical Association 84(405). {_FLEXMIX}",
        (
            Column("Dead", "1 dead, 0 alive"),
            Column("Dose", "dose"),
        ),
    ),
    Dataset(
        "fabricfault",
        32,
        "Faults in rolls of textile fabric.",
        "G. McLachlan and D. Peel (2000), Finite Mixture Models, Wiley; A. F. Bissell (1972), "
        "Biometrika 59, 435-441; M. Aitkin (1996), Statistics and Computing 6, 251-262. "
        f"{_FLEXMIX}",
        (
            Column("Length", "length of the roll", "m"),
            Column("Faults", "number of faults"),
        ),
    ),
    Dataset(
        "patent",
        70,
        "Patents and research spending of 70 pharmaceutical and biomedical companies in 1976.",
        "P. Wang, I. M. Cockburn and M. L. Puterman (1998), Analysis of patent data: a "
        "mixed-Poisson-regression-model approach, Journal of Business and Economic Statistics "
        "16(1), 27-41; B. H. Hall, C. Cummins, E. Laderman and J. Mundy (1988), NBER Technical "
        f"Working Paper 72. {_FLEXMIX}",
        (
            Column("Company", "name of the company", text=True),
            Column("Patents", "number of patents"),
            Column("RDS", "R&D spending per sales"),
            Column("lgRD", "log of R&D spending", "log of million dollars"),
        ),
    ),
    Dataset(
        "seizure",
        140,
        "Daily epileptic seizures of one patient over 140 days; the first 27 are the baseline.",
        "P. Wang, M. Puterman, I. Cockburn and N. Le (1996), Mixed Poisson regression models "
        "with covariate dependent rates, Biometrics 52, 381-400; B. Gruen and F. Leisch (2004), "
        f"Bootstrapping finite mixture models, Compstat, 1115-1122. {_FLEXMIX}",
        (
            Column("Seizures", "number of seizures on the day"),
            Column("Hours", "parental observation on the day; log(Hours) is the offset", "hours"),
            Column("Treatment", "whether treatment has begun", levels=("No", "Yes")),
            Column("Day", "day of the study, 1 to 140", "days"),
        ),
    ),
    Dataset(
        "salmonellaTA98",
        18,
        "Ames Salmonella reverse mutagenicity assay, three plates at each of six doses.",
        "B. J. Margolin, N. Kaplan and E. Zeiger (1981), Proceedings of the National Academy of "
        "Sciences 76, 3779-3783; N. E. Breslow (1984), Applied Statistics 33, 38-44. "
        f"{_FLEXMIX} It is there from the R package dispmod by L. Scrucca.",
        (
            Column("y", "number of revertant colonies of TA98 on a plate"),
            Column("x", "dose of quinoline"),
        ),
    ),
)
