"""The work of `neutral price`: prices tables of options with given models, or with the fits of a run."""
