"""Linear models: least squares, logit, shrinkage, subset selection, principal components."""
