"""Results of sweeps that nobody ran, with a truth that is known: to test the analysis, and to plan a sweep with."""
