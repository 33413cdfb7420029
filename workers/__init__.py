"""Everything that holds a model. Nobody imports this package: its processes are started."""
