"""The search of a use case, from its file to the Pareto front, with a kill in the middle."""
