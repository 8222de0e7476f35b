#!/usr/bin/env Rscript
# The 23 models of flexmix's vignette "regression-examples", for bench_vignette.py.
#
# Reads lines "starts seed" and answers each with one line per model (id, CPU seconds, log-likelihood,
# separated by tabs) and a line "end".  CPU is user time by proc.time; models that take less than 50 ms
# are run often enough for its resolution, and the mean is given.  What earlier models left behind is
# collected before the clock starts.

suppressMessages(library(flexmix))
cat("flexmix", as.character(packageVersion("flexmix")), "R", as.character(getRversion()), "\n")

for (name in c("NregFix", "betablocker", "Mehta", "tribolium", "trypanosome", "fabricfault",
               "patent", "seizure", "salmonellaTA98"))
  data(list = name, package = "flexmix")
without15 <- subset(Mehta, Site != 15)

random <- function(n, ...) stepFlexmix(..., nrep = n, verbose = FALSE)
binomialfix <- function(fixed) FLXMRglmfix(family = "binomial", fixed = fixed)
hours <- FLXMRglm(family = "poisson", offset = log(seizure$Hours))

betablockers <- function(n, k)
  random(n, cbind(Deaths, Total - Deaths) ~ 1 | Center, data = betablocker, k = k,
         model = binomialfix(~ Treatment))
beetles <- function(n, k, fixed = ~ Species, concomitant = ~ Replicate, data = tribolium)
  random(n, cbind(Remaining, Total - Remaining) ~ 1, data = data, k = k,
         model = binomialfix(fixed), concomitant = FLXPmultinom(concomitant))
wang <- function(n, data)
  beetles(n, 2, ~ I(Species == "Confusum"), ~ I(Replicate == 3), data)

# n is the number of starts; models that begin at an earlier fit take no notice of it.
models <- list(
  betablocker_glm = function(n)
    glm(cbind(Deaths, Total - Deaths) ~ Treatment, family = binomial, data = betablocker),
  nregfix_varying = function(n)
    random(n, y ~ x2 + x1, data = NregFix, k = 3, concomitant = FLXPmultinom(~ w)),
  nregfix_nested = function(n)
    flexmix(y ~ 1, data = NregFix, cluster = start$nregfix, concomitant = FLXPmultinom(~ w),
            model = FLXMRglmfix(fixed = ~ x2, varFix = TRUE,
                                nested = list(k = c(1, 2), formula = c(~ 0, ~ x1)))),
  betablocker_fix_k2 = function(n) betablockers(n, 2),
  betablocker_fix_k3 = function(n) betablockers(n, 3),
  betablocker_fix_k4 = function(n) betablockers(n, 4),
  betablocker_varying_k3 = function(n)
    random(n, cbind(Deaths, Total - Deaths) ~ Treatment | Center, data = betablocker, k = 3,
           model = FLXMRglm(family = "binomial")),
  mehta_fix_k3 = function(n)
    random(n, cbind(Response, Total - Response) ~ 1 | Site, data = Mehta, k = 3,
           model = binomialfix(~ Drug), control = list(minprior = 0.04)),
  mehta_varying_k3 = function(n)
    random(n, cbind(Response, Total - Response) ~ Drug | Site, data = Mehta, k = 3,
           model = FLXMRglm(family = "binomial"), control = list(minprior = 0.04)),
  mehta_sub15_fix_k2 = function(n)
    random(n, cbind(Response, Total - Response) ~ 1 | Site, data = without15, k = 2,
           model = binomialfix(~ Drug)),
  tribolium_k2 = function(n) beetles(n, 2),
  tribolium_k3 = function(n) beetles(n, 3),
  tribolium_wang_k2 = function(n) wang(n, tribolium),
  tribolium_wang_sub_k2 = function(n) wang(n, tribolium[-7, ]),
  trypanosome_k2 = function(n)
    random(n, cbind(Dead, 1 - Dead) ~ 1, data = trypanosome, k = 2,
           model = binomialfix(~ log(Dose))),
  fabricfault_fix_k2 = function(n)
    random(n, Faults ~ 1, data = fabricfault, k = 2,
           model = FLXMRglmfix(family = "poisson", fixed = ~ log(Length))),
  fabricfault_nested_k2 = function(n)
    flexmix(Faults ~ 0, data = fabricfault, cluster = start$fabric,
            model = FLXMRglmfix(family = "poisson", fixed = ~ log(Length),
                                nested = list(k = c(1, 1), formula = list(~ 0, ~ 1)))),
  patent_varying_k3 = function(n)
    random(n, Patents ~ lgRD, data = patent, k = 3, model = FLXMRglm(family = "poisson"),
           concomitant = FLXPmultinom(~ RDS)),
  patent_fixed_k3 = function(n)
    flexmix(Patents ~ 1, data = patent, cluster = start$patent,
            model = FLXMRglmfix(family = "poisson", fixed = ~ lgRD),
            concomitant = FLXPmultinom(~ RDS)),
  seizure_1 = function(n)
    random(n, Seizures ~ Treatment * log(Day), data = seizure, k = 2, model = hours),
  seizure_2 = function(n)
    flexmix(Seizures ~ Treatment * log(Day / 27), data = seizure, cluster = start$seizure,
            model = hours),
  seizure_3 = function(n)
    flexmix(Seizures ~ log(Day / 27) / Treatment, data = seizure, cluster = start$seizure,
            model = hours),
  salmonella_k2 = function(n)
    random(n, y ~ 1, data = salmonellaTA98, k = 2,
           model = FLXMRglmfix(family = "poisson", fixed = ~ x + log(x + 10)))
)

# The earlier fits, outside every timed region: the best of ten starts.
set.seed(1)
earlier <- function(name, by = NULL) {
  fit <- suppressWarnings(models[[name]](10))
  posterior(if (is.null(by)) fit else relabel(fit, "model", by))
}
start <- list(nregfix = earlier("nregfix_varying", "x1"),
              fabric = earlier("fabricfault_fix_k2", "(Intercept)"),
              patent = earlier("patent_varying_k3"),
              seizure = earlier("seizure_1"))

spent <- function(model, n, times = 1) {
  gc(FALSE)
  before <- proc.time()[["user.self"]]
  for (i in seq_len(times)) fit <- model(n)
  list(seconds = (proc.time()[["user.self"]] - before) / times, loglik = as.numeric(logLik(fit)))
}
answer <- function(name, n, seed) {
  set.seed(seed)
  result <- tryCatch(suppressWarnings({
    once <- spent(models[[name]], n)
    if (once$seconds >= 0.05) once
    else spent(models[[name]], n, times = ceiling(0.1 / max(once$seconds, 0.001)))
  }), error = function(e) list(seconds = NA, loglik = NA))
  cat(name, result$seconds, sprintf("%.6f", result$loglik), sep = "\t")
  cat("\n")
}

requests <- file("stdin", "r")
while (length(line <- readLines(requests, 1)) > 0) {
  asked <- as.integer(strsplit(line, " ")[[1]])
  for (name in names(models)) answer(name, asked[1], asked[2])
  cat("end\n")
  flush(stdout())
}
