"""Reading what stands in the database: records of sweeps and Runs, columns for analysis, the fleet."""
