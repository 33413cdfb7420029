"""Around one Run in a worker's child: its lease, costs, splitting where memory runs out, the noise check."""
