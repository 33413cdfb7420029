"""The launcher, a process a machine: starts a worker a device, sees them live, ends them. No torch."""
