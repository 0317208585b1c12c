"""What is done to a cluster under test: one file for each place that can break."""
